using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.Chargeback;

/// <summary>A node whose clock stands in April 2026, and statements ordered from it over HTTP.</summary>
internal sealed class ChargebackNode(GatewayEnvironment node, StepClock clock) : IAsyncDisposable
{
    public static readonly DateTimeOffset April = new(2026, 4, 10, 9, 0, 0, TimeSpan.Zero);

    public static readonly DateTimeOffset May = new(2026, 5, 1, 0, 0, 0, TimeSpan.Zero);

    public GatewayEnvironment Environment => node;

    public HttpClient Admin => node.Admin;

    public static async Task<ChargebackNode> StartAsync()
    {
        var clock = new StepClock(April);
        return new(await GatewayEnvironment.StartAsync(clock: clock), clock);
    }

    public void GoTo(DateTimeOffset instant) => clock.SetUtcNow(instant);

    public Task<TestTenant> TenantAsync(string name = "Acme Ltd", string key = "checkout") =>
        TestTenant.CreateAsync(node, new() { ["name"] = name }, new() { ["name"] = key });

    /// <summary>One answered call of the mock; gpt-4o costs 2.50 and 10.00 USD per million.</summary>
    public static async Task CallAsync(TestTenant tenant, int input = 1000, int output = 500, string model = "mock/gpt-4o", JsonObject? tags = null)
    {
        var body = new JsonObject
        {
            ["model"] = model,
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Hello" }),
            ["metadata"] = new JsonObject
            {
                ["tags"] = tags ?? [],
                ["mock"] = new JsonObject
                {
                    ["prompt_tokens"] = input.ToString(CultureInfo.InvariantCulture),
                    ["completion_tokens"] = output.ToString(CultureInfo.InvariantCulture),
                },
            },
        };
        using var answer = await tenant.PostAsync("/v1/chat/completions", body.ToJsonString(), TestContext.Current.CancellationToken);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>Orders a statement and answers with it.</summary>
    public async Task<JsonElement> OrderAsync(object request, HttpStatusCode expected = HttpStatusCode.Created)
    {
        using var answer = await node.Admin.PostAsJsonAsync("/v1/admin/chargeback", request, TestContext.Current.CancellationToken);
        return await BodyAsync(answer, expected);
    }

    public async Task<JsonElement> GetAsync(string rest, HttpStatusCode expected = HttpStatusCode.OK, HttpClient? client = null)
    {
        using var answer = await (client ?? node.Admin).GetAsync("/v1/admin/chargeback" + rest, TestContext.Current.CancellationToken);
        return await BodyAsync(answer, expected);
    }

    public Task<byte[]> DownloadAsync(JsonElement statement, string format) =>
        node.Admin.GetByteArrayAsync($"/v1/admin/chargeback/{statement.GetProperty("id").GetString()}/{format}", TestContext.Current.CancellationToken);

    public T Service<T>()
        where T : notnull => node.Services.GetRequiredService<T>();

    public ValueTask DisposeAsync() => node.DisposeAsync();

    private static async Task<JsonElement> BodyAsync(HttpResponseMessage answer, HttpStatusCode expected)
    {
        var body = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(answer.StatusCode == expected, $"{answer.RequestMessage!.RequestUri}: {answer.StatusCode} {body}");
        return JsonDocument.Parse(body).RootElement;
    }
}

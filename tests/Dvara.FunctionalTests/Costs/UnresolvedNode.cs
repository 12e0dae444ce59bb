using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

/// <summary>A node whose provider hangs up after every call, so that nobody knows what it did; and what an admin makes of that.</summary>
internal sealed class UnresolvedNode : IAsyncDisposable
{
    private readonly FakeUpstream _upstream;

    private UnresolvedNode(FakeUpstream upstream, GatewayEnvironment node) => (_upstream, Environment) = (upstream, node);

    public GatewayEnvironment Environment { get; }

    public static async Task<UnresolvedNode> StartAsync(TimeProvider clock)
    {
        var upstream = await HangsUpAsync();
        return new(upstream, await GatewayEnvironment.StartAsync(upstream.Settings, clock));
    }

    public static async Task<FakeUpstream> HangsUpAsync()
    {
        var upstream = await FakeUpstream.StartAsync();
        upstream.Answer = (httpContext, _) =>
        {
            httpContext.Abort();
            return Task.CompletedTask;
        };
        return upstream;
    }

    /// <summary>Makes a call of unknown outcome; answers with its charge.</summary>
    public static async Task<JsonElement> CallAsync(TestTenant tenant, string model = "gpt-4o")
    {
        using var answer = await tenant.PostAsync(
            "/v1/chat/completions", $$"""{"model":"{{model}}","messages":[{"role":"user","content":"Hi"}]}""", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        var request = answer.Headers.GetValues("x-request-id").Single();
        var line = (await tenant.CostsAsync()).Single(line => (string?)line["requestId"] == request);
        Assert.Equal("UNRESOLVED", (string?)line["state"]);
        return JsonSerializer.SerializeToElement(line);
    }

    /// <summary>Settles a charge; answers with the line, or with the error of a refusal.</summary>
    public Task<JsonElement> ResolveAsync(
        JsonElement charge, object order, HttpStatusCode expected = HttpStatusCode.OK, HttpClient? client = null, string? key = null) =>
        ResolveAsync(client ?? Environment.Admin, charge.GetProperty("id").GetString()!, order, expected, key);

    public static async Task<JsonElement> ResolveAsync(HttpClient client, string id, object order, HttpStatusCode expected, string? key = null)
    {
        using var answer = await PostAsync(client, id, order, key);
        var body = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(answer.StatusCode == expected, $"{answer.StatusCode} {body}");
        var element = JsonDocument.Parse(body).RootElement;
        return expected == HttpStatusCode.OK ? element : element.GetProperty("error");
    }

    public static Task<HttpResponseMessage> PostAsync(HttpClient client, string id, object order, string? key = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/admin/costs/{id}/resolve")
        {
            Content = order is string json ? new StringContent(json, new System.Net.Http.Headers.MediaTypeHeaderValue("application/json")) : JsonContent.Create(order),
        };
        if (key is not null)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        return client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public async Task<JsonElement> ReadAsync(JsonElement charge) =>
        await Environment.Admin.GetFromJsonAsync<JsonElement>($"/v1/admin/costs/{charge.GetProperty("id").GetString()}", TestContext.Current.CancellationToken);

    public async Task<JsonElement> SummaryAsync(TestTenant tenant, string rest = "") => await Environment.Admin.GetFromJsonAsync<JsonElement>(
        $"/v1/admin/costs/summary?tenantId={tenant.Id}&from=2026-04-01T00:00:00Z&to=2026-05-01T00:00:00Z{rest}", TestContext.Current.CancellationToken);

    /// <summary>Events of the tenant, newest first.</summary>
    public async Task<List<JsonElement>> EventsAsync(TestTenant tenant, string type)
    {
        var page = await Environment.Admin.GetFromJsonAsync<JsonElement>(
            $"/v1/admin/audit/events?type={type}&tenantId={tenant.Id}", TestContext.Current.CancellationToken);
        return [.. page.GetProperty("items").EnumerateArray()];
    }

    public async ValueTask DisposeAsync()
    {
        await Environment.DisposeAsync();
        await _upstream.DisposeAsync();
    }
}

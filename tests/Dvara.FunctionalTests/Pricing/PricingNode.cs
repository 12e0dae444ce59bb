using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Dvara.Domain;
using Dvara.Domain.Pricing;
using Dvara.Server.Audit;
using Dvara.Server.Pricing;
using Dvara.Server.Tenants;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.Pricing;

/// <summary>A node whose clock stands still until it is moved, asked for prices over HTTP.</summary>
internal sealed class PricingNode(GatewayEnvironment node, StepClock clock) : IAsyncDisposable
{
    public const string Path = "/v1/admin/pricing";

    public static readonly DateTimeOffset Start = new(2026, 4, 15, 12, 0, 0, TimeSpan.Zero);

    public static readonly TenantId Acme = new(Guid.Parse("01890000-0000-7000-8000-000000000001"));

    public static readonly TenantId Other = new(Guid.Parse("01890000-0000-7000-8000-000000000002"));

    public HttpClient Admin => node.Admin;

    public StepClock Clock => clock;

    public DateTimeOffset Now => clock.GetUtcNow();

    /// <summary>What requests are rated by.</summary>
    public PriceBook Book => node.Services.GetRequiredService<PriceBookState>().Current;

    public static async Task<PricingNode> StartAsync(string? dataDirectory = null)
    {
        var clock = new StepClock(Start);
        var node = new PricingNode(await GatewayEnvironment.StartAsync(clock: clock, dataDirectory: dataDirectory), clock);
        await node.SeedAsync(Acme);
        await node.SeedAsync(Other);
        return node;
    }

    public T Service<T>()
        where T : notnull => node.Services.GetRequiredService<T>();

    /// <summary>A price of a model that nobody ships, with what is asked for.</summary>
    public static Dictionary<string, object?> Price(string model = "house-model", object? input = null, params (string Name, object? Value)[] more)
    {
        var price = new Dictionary<string, object?>
        {
            ["provider"] = "openai",
            ["model"] = model,
            ["inputPerMillionUsd"] = input ?? 2.5m,
            ["outputPerMillionUsd"] = 10,
        };
        foreach (var (name, value) in more)
        {
            price[name] = value;
        }

        return price;
    }

    public Task<Answer> GetAsync(string rest) => SendAsync(HttpMethod.Get, rest);

    public Task<Answer> PostAsync(object price) => SendAsync(HttpMethod.Post, "", price);

    public Task<Answer> SendAsync(HttpMethod method, string rest, object? body = null, string? ifMatch = null, HttpClient? client = null)
    {
        var content = body is null ? null : JsonContent.Create(body);
        return SendAsync(method, rest, content, ifMatch, client ?? node.Admin);
    }

    public Task<Answer> ImportAsync(string csv, string query = "", HttpClient? client = null) => SendAsync(
        HttpMethod.Post, "/import" + query, new StringContent(csv, Encoding.UTF8, "text/csv"), null, client ?? node.Admin);

    /// <summary>What rates a call to <paramref name="model"/> that begins then.</summary>
    public decimal? InputRate(string model, DateTimeOffset at, TenantId? tenant = null) =>
        Book.Find(tenant ?? Acme, "openai", model, at)?.InputRate / 1_000_000m;

    /// <summary>A client whose token sees one tenant alone.</summary>
    public async Task<HttpClient> NarrowedAsync(TenantId tenant)
    {
        using var made = await node.Admin.PostAsJsonAsync("/v1/admin/tokens", new { name = "narrow", role = "billing", tenantId = tenant.ToString() });
        var token = (await made.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("token").GetString();
        return new HttpClient { BaseAddress = node.BaseAddress, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) } };
    }

    public ValueTask DisposeAsync() => node.DisposeAsync();

    /// <summary>Makes a tenant with its id: the API would choose another.</summary>
    private async Task SeedAsync(TenantId id)
    {
        if (await Service<TenantDirectory>().NameAsync(id, CancellationToken.None) is null)
        {
            var tenant = new TenantRequest { Name = "seeded" }.ToTenant(before: null, Start).Tenant! with { Id = id };
            await Service<TenantStore>().InsertAsync(
                tenant, AuditEvent.BySystem(clock, AuditTypes.TenantCreated, id, TenantAudit.Facts(tenant)), CancellationToken.None);
        }
    }

    private static async Task<Answer> SendAsync(HttpMethod method, string rest, HttpContent? content, string? ifMatch, HttpClient client)
    {
        using var request = new HttpRequestMessage(method, Path + rest) { Content = content };
        if (ifMatch is not null)
        {
            request.Headers.Add("If-Match", ifMatch);
        }

        using var answer = await client.SendAsync(request);
        var body = await answer.Content.ReadAsStringAsync();
        return new(answer.StatusCode, answer.Headers.ETag?.Tag, answer.Headers.Location?.ToString(), body);
    }

    internal sealed record Answer(HttpStatusCode Status, string? ETag, string? Location, string Text)
    {
        public JsonElement Json => JsonDocument.Parse(Text).RootElement;

        public string Id => Json.GetProperty("id").GetString()!;

        public Answer Is(HttpStatusCode status)
        {
            Assert.True(Status == status, $"Expected {status}: {Status} {Text}");
            return this;
        }

        /// <summary>A refusal with this code, naming this field where there is one.</summary>
        public string Refuses(HttpStatusCode status, string code, string? field = null)
        {
            var error = Is(status).Json.GetProperty("error");
            Assert.Equal(code, error.GetProperty("code").GetString());
            if (field is not null)
            {
                Assert.Contains(field, error.GetProperty("errors").EnumerateArray().Select(e => e.GetProperty("field").GetString()));
            }

            return error.GetProperty("message").GetString()!;
        }

        public IReadOnlyList<JsonElement> Items => [.. Is(HttpStatusCode.OK).Json.GetProperty("items").EnumerateArray()];

        public string? Instant(string name) => Json.GetProperty(name).GetString();
    }
}

using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Audit;
using Dvara.Server.Storage;
using Dvara.Server.Tenants;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

/// <summary>A node whose ledger holds given charges, asked over HTTP.</summary>
public class CostsNode(params IEnumerable<Charge> charges) : IAsyncLifetime
{
    public static readonly DateTimeOffset Now = new(2026, 5, 2, 12, 34, 56, TimeSpan.Zero);

    private GatewayEnvironment _node = null!;

    public HttpClient Admin => _node.Admin;

    public static async Task<CostsNode> StartAsync(params IEnumerable<Charge> charges)
    {
        var costs = new CostsNode(charges);
        await costs.InitializeAsync();
        return costs;
    }

    public async ValueTask InitializeAsync()
    {
        _node = await GatewayEnvironment.StartAsync(clock: new FakeTimeProvider(Now));
        await AddAsync(charges);
    }

    public Task AddAsync(params IEnumerable<Charge> charges) =>
        LedgerSeed.AddAsync(_node.Services.GetRequiredService<Database>(), charges, Now);

    public T Service<T>()
        where T : notnull => _node.Services.GetRequiredService<T>();

    /// <summary>The 200 of <c>/v1/admin/costs…</c>.</summary>
    public Task<JsonElement> GetAsync(string rest) => GetAsync(_node.Admin, rest);

    public static async Task<JsonElement> GetAsync(HttpClient client, string rest)
    {
        using var answer = await client.GetAsync("/v1/admin/costs" + rest);
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, $"{rest}: {answer.StatusCode} {body}");
        return JsonDocument.Parse(body).RootElement;
    }

    public Task<JsonElement> RefusedAsync(string rest, HttpStatusCode status, string code) => RefusedAsync(_node.Admin, rest, status, code);

    /// <summary>The <c>error</c> of a refusal.</summary>
    public static async Task<JsonElement> RefusedAsync(HttpClient client, string rest, HttpStatusCode status, string code)
    {
        using var answer = await client.GetAsync("/v1/admin/costs" + rest);
        var body = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == status, $"{rest}: {answer.StatusCode} {body}");
        var error = JsonDocument.Parse(body).RootElement.GetProperty("error");
        Assert.Equal(code, error.GetProperty("code").GetString());
        return error;
    }

    /// <summary>A client whose token sees one tenant alone. The tenant is made with its id: the API would choose another.</summary>
    public async Task<HttpClient> NarrowedAsync(TenantId tenant)
    {
        if (await Service<TenantDirectory>().NameAsync(tenant, TestContext.Current.CancellationToken) is null)
        {
            var seeded = new TenantRequest { Name = "seeded" }.ToTenant(before: null, Now).Tenant! with { Id = tenant };
            await Service<TenantStore>().InsertAsync(
                seeded,
                AuditEvent.BySystem(new FakeTimeProvider(Now), AuditTypes.TenantCreated, tenant, TenantAudit.Facts(seeded)),
                TestContext.Current.CancellationToken);
        }

        using var made = await _node.Admin.PostAsJsonAsync("/v1/admin/tokens", new { name = $"narrow {tenant}", role = "viewer", tenantId = tenant.ToString() });
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        var token = (await made.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("token").GetString();
        return new HttpClient { BaseAddress = _node.BaseAddress, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", token) } };
    }

    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return _node.DisposeAsync();
    }
}

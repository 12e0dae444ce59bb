using System.Data.Common;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Pricing;
using Dvara.FunctionalTests.Costs;
using Dvara.FunctionalTests.Tenants;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>A node with one tenant and one key, whose clock stands still until it is moved, asked for budgets over HTTP.</summary>
internal sealed class BudgetsNode : IAsyncDisposable
{
    public const string Path = "/v1/admin/budgets";

    /// <summary>A Wednesday.</summary>
    public static readonly DateTimeOffset Start = new(2026, 5, 6, 12, 34, 56, 789, TimeSpan.Zero);

    private BudgetsNode(GatewayEnvironment environment, StepClock clock, TestTenant tenant) =>
        (Environment, Clock, Tenant) = (environment, clock, tenant);

    public GatewayEnvironment Environment { get; }

    public StepClock Clock { get; }

    public TestTenant Tenant { get; }

    public HttpClient Admin => Environment.Admin;

    public static async Task<BudgetsNode> StartAsync()
    {
        var clock = new StepClock(Start);
        var environment = await GatewayEnvironment.StartAsync(clock: clock);
        return new(environment, clock, await TestTenant.CreateAsync(environment));
    }

    /// <summary>The 201 for a monthly budget of 10 USD, with what is asked for.</summary>
    public async Task<JsonElement> MakeAsync(object? more = null, HttpClient? client = null)
    {
        using var answer = await (client ?? Admin).PostAsync(Path, JsonContent.Create(Body(more)));
        return await answer.JsonAsync(HttpStatusCode.Created);
    }

    public static Dictionary<string, JsonElement> Body(object? more = null)
    {
        var body = Members(new { name = "cap", period = "MONTHLY", limitUsd = 10 });
        foreach (var (name, value) in Members(more ?? new { }))
        {
            body[name] = value;
        }

        return body;

        static Dictionary<string, JsonElement> Members(object from) =>
            JsonSerializer.SerializeToElement(from).EnumerateObject().ToDictionary(member => member.Name, member => member.Value);
    }

    public Task<JsonElement> UsageAsync(JsonElement budget) => Admin.GetFromJsonAsync<JsonElement>($"{UriOf(budget)}/usage");

    public async Task<string[]> NamesAsync(string query, HttpClient? client = null) =>
        [.. (await (client ?? Admin).GetFromJsonAsync<JsonElement>($"{Path}?{query}")).GetProperty("items").EnumerateArray().Select(b => b.Text("name")!)];

    public static string UriOf(JsonElement budget) => $"{Path}/{budget.Text("id")}";

    public static CapId IdOf(JsonElement budget) => new(Guid.Parse(budget.Text("id")!));

    /// <summary>A client whose token sees one tenant alone; the node's own where none is named.</summary>
    public Task<HttpClient> NarrowedAsync(string? tenant = null) =>
        Environment.ClientAsync(new { name = "narrow", role = "owner", tenantId = tenant ?? Tenant.Id });

    /// <summary>The budget events of the trail, oldest first.</summary>
    public async Task<List<JsonElement>> EventsAsync()
    {
        var page = await Admin.GetFromJsonAsync<JsonElement>("/v1/admin/audit/events?limit=1000");
        return [.. page.GetProperty("items").EnumerateArray().Where(e => e.Text("type")!.StartsWith("BUDGET_", StringComparison.Ordinal)).Reverse()];
    }

    /// <summary>Puts charges into the ledger.</summary>
    public Task SpendAsync(params IEnumerable<Charge> charges) =>
        LedgerSeed.AddAsync(Environment.Services.GetRequiredService<Database>(), charges, Clock.GetUtcNow());

    /// <summary>A charge of the node's tenant and key.</summary>
    public Charge ChargeOf(decimal usd, DateTimeOffset? at = null)
    {
        var charge = SomeCharges.At(at ?? Clock.GetUtcNow());
        return charge with
        {
            Intent = charge.Intent with { TenantId = new(Guid.Parse(Tenant.Id)), ApiKeyId = new(Guid.Parse(Tenant.KeyId)) },
            Cost = new Cost(Usd.FromDecimal(usd), Usd.Zero),
        };
    }

    /// <summary>Reaches the database behind the node's back.</summary>
    public async Task<T> AskAsync<T>(Func<DbConnection, Task<T>> ask)
    {
        await using var connection = await Environment.ConnectAsync();
        return await ask(connection);
    }

    public Task ExecuteAsync(string sql, object parameters) => AskAsync(connection => connection.ExecuteAsync(sql, parameters));

    public async ValueTask DisposeAsync()
    {
        Tenant.Dispose();
        await Environment.DisposeAsync();
    }
}

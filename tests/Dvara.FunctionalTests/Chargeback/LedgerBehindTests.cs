using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Chargeback;

/// <summary>A ledger that does not take the charges of the journal: no statement is made of what it lacks, and no budget begins without it.</summary>
public sealed class LedgerBehindTests
{
    [Fact]
    public async Task Statement_WhileTheLedgerIsBehind_Is503_AndIsMadeLater()
    {
        var clock = new HastyClock(ChargebackNode.April);
        await using var environment = await GatewayEnvironment.StartAsync(clock: clock);
        using var tenant = await TestTenant.CreateAsync(environment);
        var order = new { tenantId = tenant.Id, period = "2026-04" };

        await RefusedAsync(environment, clock, tenant, "/v1/admin/chargeback", order);

        using var made = await environment.Admin.PostAsJsonAsync("/v1/admin/chargeback", order, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        var statement = await made.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken);
        Assert.Equal(1, statement.GetProperty("requestCount").GetInt64());
    }

    [Fact]
    public async Task Budget_WhileTheLedgerIsBehind_Is503_AndCountsLater()
    {
        var clock = new HastyClock(ChargebackNode.April);
        await using var environment = await GatewayEnvironment.StartAsync(clock: clock);
        using var tenant = await TestTenant.CreateAsync(environment);
        var budget = new { tenantId = tenant.Id, name = "cap", period = "MONTHLY", limitUsd = 10 };

        await RefusedAsync(environment, clock, tenant, "/v1/admin/budgets", budget);

        using var made = await environment.Admin.PostAsJsonAsync("/v1/admin/budgets", budget, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        var usage = await environment.Admin.GetFromJsonAsync<JsonElement>($"{made.Headers.Location}/usage", TestContext.Current.CancellationToken);
        Assert.Equal(1, usage.GetProperty("requestCount").GetInt64());
    }

    /// <summary>Makes a call whose charge the ledger cannot take, and an order that would have to have it.</summary>
    private static async Task RefusedAsync(GatewayEnvironment environment, HastyClock clock, TestTenant tenant, string path, object order)
    {
        await using var block = await LedgerBlock.PutUpAsync(environment);
        await ChargebackNode.CallAsync(tenant);
        clock.IsHasty = true;
        using var refused = await environment.Admin.PostAsJsonAsync(path, order, TestContext.Current.CancellationToken);
        clock.IsHasty = false;

        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.NotNull(refused.Headers.RetryAfter);
        var error = await refused.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken);
        Assert.Equal("ledger_unavailable", error.GetProperty("error").GetProperty("code").GetString());
    }
}

using System.Data.Common;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Metering;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>What a journal holds of its caps, and how it is taken back from a silo that is gone.</summary>
public sealed class WriteOffTests : IAsyncLifetime
{
    private const string Path = "/v1/admin/journals";

    private static readonly JournalId Gone = new(Guid.Parse("01890000-0000-7000-8000-00000000000a"));
    private static readonly JournalId Other = new(Guid.Parse("01890000-0000-7000-8000-00000000000b"));
    private static readonly CapId Monthly = new(Guid.Parse("01890000-0000-7000-8000-0000000000c1"));
    private static readonly CapId Daily = new(Guid.Parse("01890000-0000-7000-8000-0000000000c2"));
    private static readonly DateTimeOffset Now = new(2026, 4, 30, 23, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset April = new(2026, 4, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly StepClock _clock = new(Now);
    private GatewayEnvironment _node = null!;
    private DbConnection _connection = null!;

    public async ValueTask InitializeAsync()
    {
        _node = await GatewayEnvironment.StartAsync(clock: _clock);
        _connection = await _node.ConnectAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync();
        await _node.DisposeAsync();
    }

    [Fact]
    public async Task WriteOff_GivesBackWhatIsNotUsed_AndNothingElse()
    {
        await JournalAsync(Gone, "MISSING");
        await JournalAsync(Other, "MISSING");
        await PeriodAsync(Monthly, April, days: 30);
        await PeriodAsync(Daily, Now.AddHours(-23), days: 1);
        await LeaseAsync(Monthly, April, Gone, granted: 10, settled: 3, exposed: [1.5m, 0.5m]);
        await LeaseAsync(Monthly, April, Other, granted: 10, settled: 1, exposed: [2]);
        await LeaseAsync(Daily, Now.AddHours(-23), Gone, granted: 5, settled: 6, exposed: [1]);
        Assert.Equal((5m, 7m), (await LeasedAsync(Gone), await LeasedAsync(Other)));

        var answer = await WriteOffAsync(Gone);

        Assert.Equal($$"""{"id":"{{Gone}}","silo":"silo-7","state":"MISSING","returnedUsd":5,"leases":1}""", answer.GetRawText());
        Assert.Equal((0m, 7m), (await LeasedAsync(Gone), await LeasedAsync(Other)));
        Assert.Equal([(5m, 4L), (5m, 4L), (10m, 3L)], await GrantsAsync());
        Assert.Equal(4, await _connection.QuerySingleAsync<long>("SELECT count(*) FROM exposures"));
    }

    [Fact]
    public async Task WriteOff_MadeAgain_GivesNothingBack_AndIsInTheTrailOnce()
    {
        await JournalAsync(Gone, "MISSING");
        await PeriodAsync(Monthly, April, days: 30);
        await LeaseAsync(Monthly, April, Gone, granted: 10, settled: 3);

        await WriteOffAsync(Gone);
        var again = await WriteOffAsync(Gone);

        Assert.Equal((0m, 0), (again.GetProperty("returnedUsd").GetDecimal(), again.GetProperty("leases").GetInt32()));
        var trail = await _node.Admin.GetFromJsonAsync<JsonElement>("/v1/admin/audit/events?type=JOURNAL_WRITTEN_OFF", TestContext.Current.CancellationToken);
        var written = Assert.Single(trail.GetProperty("items").EnumerateArray());
        Assert.Equal(JsonValueKind.Null, written.GetProperty("tenantId").ValueKind);
        Assert.Equal(
            $$"""{"journalId":"{{Gone}}","silo":"silo-7","returnedUsd":7,"leases":1,"budgetIds":["{{Monthly}}"]}""",
            written.GetProperty("payload").GetRawText());
    }

    [Fact]
    public async Task Money_ThatAGoneSiloHeld_CanBeUsedAgain()
    {
        using var tenant = await TestTenant.CreateAsync(_node);
        var cap = await _node.Admin.MakeBudgetAsync(5, new() { ["tenantId"] = tenant.Id, ["holdWaitMs"] = 0 });
        await JournalAsync(Gone, "MISSING");
        await LeaseAsync(new(Guid.Parse((string)cap["id"]!)), April, Gone, granted: 5, settled: 1);
        Assert.Equal(HttpStatusCode.PaymentRequired, (await tenant.CallAsync()).Status);

        Assert.Equal(4m, (await WriteOffAsync(Gone)).GetProperty("returnedUsd").GetDecimal());

        // A refusal is remembered for a moment.
        await Await.TrueAsync(async () => await tenant.CallAsync() is (HttpStatusCode.OK, _), "the money to be lent again");

        Assert.Equal(1 + MockCall.Cost, (decimal)(await _node.Admin.UsageAsync(cap))["spentUsd"]!);
    }

    [Fact]
    public async Task Period_UpToItsLastMillisecond_IsHeld_AndThenItsMoneyIsGoneAnyway()
    {
        await JournalAsync(Gone, "MISSING");
        await PeriodAsync(Monthly, April, days: 30);
        await LeaseAsync(Monthly, April, Gone, granted: 10, settled: 3);

        _clock.SetUtcNow(April.AddDays(30).AddMilliseconds(-1));
        Assert.Equal(7m, await LeasedAsync(Gone));
        _clock.SetUtcNow(April.AddDays(30));

        Assert.Equal(0m, await LeasedAsync(Gone));
        Assert.Equal(0m, (await WriteOffAsync(Gone)).GetProperty("returnedUsd").GetDecimal());
        Assert.Equal([(10m, 3L)], await GrantsAsync());
    }

    [Fact]
    public async Task Leases_OfManyLargeCaps_AddUp()
    {
        await JournalAsync(Gone, "MISSING");
        for (var cap = 0; cap < 5; cap++)
        {
            var id = new CapId(Guid.NewGuid());
            await PeriodAsync(id, April, days: 30);
            await LeaseAsync(id, April, Gone, granted: 9_000_000, settled: 0.000000000001m);
        }

        Assert.Equal(44_999_999.999999999995m, await LeasedAsync(Gone));
        Assert.Equal(44_999_999.999999999995m, (await WriteOffAsync(Gone)).GetProperty("returnedUsd").GetDecimal());
    }

    [Fact]
    public async Task Journal_ThatIsNotMissing_IsNotWrittenOff()
    {
        var own = _node.Services.GetRequiredService<Journal>().Id;
        await JournalAsync(Other, "CLOSED");
        await PeriodAsync(Monthly, April, days: 30);
        await LeaseAsync(Monthly, April, own, granted: 10, settled: 3);
        await LeaseAsync(Monthly, April, Other, granted: 10, settled: 3);

        Assert.Contains("is OPEN", await RefusedAsync(own.ToString(), HttpStatusCode.Conflict, "conflict"), StringComparison.Ordinal);
        Assert.Contains("is CLOSED", await RefusedAsync(Other.ToString(), HttpStatusCode.Conflict, "conflict"), StringComparison.Ordinal);
        Assert.Equal([(10m, 3L), (10m, 3L)], await GrantsAsync());
    }

    [Fact]
    public async Task OpenJournal_NotHeardOfForAMinute_IsMissingInAClusterAlone()
    {
        await JournalAsync(Gone, "OPEN", seenAt: Now.AddSeconds(-60));
        await RefusedAsync(Gone.ToString(), HttpStatusCode.Conflict, "conflict");

        _clock.Advance(TimeSpan.FromMilliseconds(1));

        if (TestPostgres.IsEngine)
        {
            Assert.Equal("MISSING", (await WriteOffAsync(Gone)).GetProperty("state").GetString());
        }
        else
        {
            await RefusedAsync(Gone.ToString(), HttpStatusCode.Conflict, "conflict");
        }
    }

    [Fact]
    public async Task Journal_IsWrittenOffByWhoMayWriteJournalsOfAllTenants()
    {
        await JournalAsync(Gone, "MISSING");
        var tenant = await _node.MakeTenantAsync(new { name = "Acme" });
        using var viewer = await _node.ClientAsync(new { name = "viewer", role = "viewer" });
        using var narrow = await _node.ClientAsync(new { name = "narrow", scopes = new[] { "journals:write" }, tenantId = tenant.GetProperty("id").GetString() });

        await RefusedAsync(Gone.ToString(), HttpStatusCode.Unauthorized, "admin_token_required", _node.Client);
        await RefusedAsync(Gone.ToString(), HttpStatusCode.Forbidden, "missing_scope", viewer);
        await RefusedAsync(Gone.ToString(), HttpStatusCode.NotFound, "not_found", narrow);
        await RefusedAsync(Guid.NewGuid().ToString(), HttpStatusCode.NotFound, "not_found");
        await RefusedAsync("1", HttpStatusCode.NotFound, "not_found");
        using var asked = await _node.Admin.PostAsync($"{Path}/{Gone}/write-off?force=1", null, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, asked.StatusCode);
    }

    private async Task<JsonElement> WriteOffAsync(JournalId journal)
    {
        using var answer = await _node.Admin.PostAsync($"{Path}/{journal}/write-off", null, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return await answer.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken);
    }

    private async Task<string> RefusedAsync(string journal, HttpStatusCode status, string code, HttpClient? client = null)
    {
        using var answer = await (client ?? _node.Admin).PostAsync($"{Path}/{journal}/write-off", null, TestContext.Current.CancellationToken);
        var error = (await answer.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken)).GetProperty("error");
        Assert.Equal((status, code), (answer.StatusCode, error.GetProperty("code").GetString()));
        return error.GetProperty("message").GetString()!;
    }

    private async Task<decimal> LeasedAsync(JournalId journal)
    {
        var page = await _node.Admin.GetFromJsonAsync<JsonElement>(Path, TestContext.Current.CancellationToken);
        return page.GetProperty("items").EnumerateArray().Single(item => item.GetProperty("id").GetString() == journal.ToString()).GetProperty("leasedUsd").GetDecimal();
    }

    private Task<int> JournalAsync(JournalId journal, string state, DateTimeOffset? seenAt = null) => _connection.ExecuteAsync(
        "INSERT INTO journals (id, silo, epoch, state, opened_ms, seen_ms) VALUES (@journal, 'silo-7', 1, @state, 0, @seenAt)",
        new { journal, state, seenAt = seenAt ?? DateTimeOffset.UnixEpoch });

    private Task<int> PeriodAsync(CapId cap, DateTimeOffset start, int days) => _connection.ExecuteAsync(
        "INSERT INTO cap_periods (cap_id, start_ms, end_ms) VALUES (@cap, @start, @end)", new { cap, start, end = start.AddDays(days) });

    private async Task LeaseAsync(CapId cap, DateTimeOffset start, JournalId journal, decimal granted, decimal settled, params decimal[] exposed)
    {
        await _connection.ExecuteAsync(
            """
            INSERT INTO leases (cap_id, start_ms, journal_id, granted_pico_usd, settled_pico_usd, asked) VALUES (@cap, @start, @journal, @granted, @settled, 3)
            """,
            new { cap, start, journal, granted = Usd.FromDecimal(granted), settled = Usd.FromDecimal(settled) });
        await _connection.ExecuteAsync(
            "INSERT INTO exposures (attempt_id, cap_id, start_ms, journal_id, amount_pico_usd) VALUES (@attempt, @cap, @start, @journal, @amount)",
            exposed.Select(amount => new { attempt = AttemptId.At(Now), cap, start, journal, amount = Usd.FromDecimal(amount) }));
    }

    /// <summary>Granted and the number of the last ask, smallest first.</summary>
    private async Task<List<(decimal Granted, long Asked)>> GrantsAsync() =>
    [
        .. (await _connection.QueryAsync<(long Granted, long Asked)>("SELECT granted_pico_usd, asked FROM leases ORDER BY 1, 2 DESC"))
            .Select(row => (Usd.FromPico(row.Granted).ToDecimal(), row.Asked)),
    ];
}

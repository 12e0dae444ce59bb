using System.Data.Common;
using System.Net;
using System.Text.Json;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.FunctionalTests.Costs;
using Dvara.FunctionalTests.Tenants;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

public sealed class BudgetUsageTests : IAsyncLifetime
{
    private BudgetsNode _node = null!;

    public async ValueTask InitializeAsync() => _node = await BudgetsNode.StartAsync();

    public ValueTask DisposeAsync() => _node.DisposeAsync();

    [Fact]
    public async Task Usage_OfANewBudget_IsWhatTheLedgerHasForItsScope()
    {
        using var other = await TestTenant.CreateAsync(_node.Environment);
        var (_, successor) = await other.RotateAsync();
        var seed = Random.Shared.Next();
        await SpendAsync(new Random(seed), other, successor);
        var rows = await _node.AskAsync(LedgerRow.ReadAsync);

        (object Scope, Func<LedgerRow, bool> Matches)[] scopes =
        [
            (new { }, _ => true),
            (new { tenantId = _node.Tenant.Id }, row => row.TenantId == _node.Tenant.Id),
            (new { tenantId = other.Id }, row => row.TenantId == other.Id),
            (new { apiKeyId = _node.Tenant.KeyId }, row => row.ApiKeyId == _node.Tenant.KeyId),
            (new { tag = new { key = "PROJECT", value = "x:y" } }, row => row.Tags.GetValueOrDefault("project") == "x:y"),
            (new { tag = new { key = "Project", value = "X:Y" } }, _ => false),
            (new { model = "gpt-4o" }, row => row.SentModel == "gpt-4o"),
            (new { model = "gpt-4o*" }, row => row.SentModel.StartsWith("gpt-4o", StringComparison.Ordinal)),
            (new { model = "openai/gpt-4o" }, row => row.Provider == "openai" && row.SentModel == "gpt-4o"),
            (new { model = "mock/*" }, row => row.Provider == "mock"),
            (new { apiKeyId = other.KeyId }, row => row.TenantId == other.Id),
            (new { apiKeyId = successor }, row => row.TenantId == other.Id),
            (new { apiKeyId = successor, model = "o*", tag = new { key = "team", value = "a" } }, row =>
                row.TenantId == other.Id && row.SentModel == "other" && row.Tags.GetValueOrDefault("team") == "a"),
        ];
        foreach (var (scope, matches) in scopes)
        {
            foreach (var (period, zone) in
                from period in new[] { "DAILY", "WEEKLY", "MONTHLY" }
                from zone in new[] { "UTC", "Asia/Kolkata", "America/St_Johns" }
                select (period, zone))
            {
                var budget = await _node.MakeAsync(Join(scope, new { period, timeZone = zone, limitUsd = 1_000_000 }));
                var usage = await _node.UsageAsync(budget);
                var (from, to) = (usage.GetProperty("periodStart").GetDateTimeOffset(), usage.GetProperty("resetsAt").GetDateTimeOffset());
                var expected = rows.Where(row => row.At >= from && row.At < to && matches(row)).ToList();
                var what = $"seed {seed}, {JsonSerializer.Serialize(scope)} {period} {zone}";
                Assert.True(from <= _node.Clock.GetUtcNow() && _node.Clock.GetUtcNow() < to, what);
                Assert.True(expected.Sum(row => row.Usd) == usage.GetProperty("spentUsd").GetDecimal(), what);
                Assert.True(expected.Sum(row => row.Requests) == usage.GetProperty("requestCount").GetInt64(), what);
            }
        }
    }

    [Fact]
    public async Task Usage_InTheLastHalfHourOfAPeriodThatEndsWithinAnHour_HasItsCharges()
    {
        // Midnight in Kolkata is 18:30 UTC.
        var midnight = new DateTimeOffset(2026, 5, 6, 18, 30, 0, TimeSpan.Zero);
        _node.Clock.SetUtcNow(midnight.AddMinutes(-10));
        await _node.SpendAsync(
            _node.ChargeOf(1, midnight.AddDays(-1).AddMilliseconds(-1)),
            _node.ChargeOf(2, midnight.AddDays(-1)),
            _node.ChargeOf(4, midnight.AddMinutes(-31)),
            _node.ChargeOf(8, midnight.AddMilliseconds(-1)),
            // Of a silo whose clock is ahead.
            _node.ChargeOf(16, midnight));

        var budget = await _node.MakeAsync(new { tenantId = _node.Tenant.Id, period = "DAILY", timeZone = "Asia/Kolkata" });
        var today = await _node.UsageAsync(budget);
        _node.Clock.SetUtcNow(midnight.AddMinutes(1));
        var tomorrow = await _node.UsageAsync(budget);

        Assert.Equal(14, today.GetProperty("spentUsd").GetDecimal());
        Assert.Equal(midnight, today.GetProperty("resetsAt").GetDateTimeOffset());
        Assert.Equal(16, tomorrow.GetProperty("spentUsd").GetDecimal());
        Assert.Equal(midnight, tomorrow.GetProperty("periodStart").GetDateTimeOffset());
    }

    [Fact]
    public async Task Usage_OfCallsThatWereAnsweredBeforeTheBudgetWasMade_CountsThem()
    {
        for (var i = 0; i < 3; i++)
        {
            using var call = await _node.Tenant.PostAsync(
                "/v1/chat/completions",
                """{"model":"mock/gpt-4o","messages":[{"role":"user","content":"hi"}],"metadata":{"mock":{"prompt_tokens":"1000","completion_tokens":"500"}}}""");
            call.EnsureSuccessStatusCode();
        }

        var budget = await _node.MakeAsync(new { apiKeyId = _node.Tenant.KeyId, model = "gpt-4*", period = "DAILY" });

        var usage = await _node.UsageAsync(budget);
        Assert.Equal(0.0225m, usage.GetProperty("spentUsd").GetDecimal());
        Assert.Equal(3, usage.GetProperty("requestCount").GetInt64());
    }

    [Fact]
    public async Task Usage_ShowsWhatEachJournalHolds_AndWhyTheLimitIsExceeded()
    {
        await _node.SpendAsync(_node.ChargeOf(1.5m));
        var budget = await _node.MakeAsync(new { tenantId = _node.Tenant.Id });
        var (cap, start, journals) = (BudgetsNode.IdOf(budget), Monthly(), new[] { new JournalId(Guid.CreateVersion7()), new JournalId(Guid.CreateVersion7()) });
        await LeaseAsync(cap, start, journals[0], granted: 4, settled: 1.25m, requests: 2, refused: 1);
        await LeaseAsync(cap, start, journals[1], granted: 0.5m, settled: 0.75m, aboveBound: 0.25m, requests: 1, refused: 4);
        await _node.ExecuteAsync(
            "INSERT INTO exposures (attempt_id, cap_id, start_ms, journal_id, amount_pico_usd) VALUES (@attempt, @cap, @start, @journal, @amount)",
            new { attempt = AttemptId.At(start), cap, start, journal = journals[0], amount = Usd.FromDecimal(1) });

        var usage = await _node.UsageAsync(budget);
        using var lowered = await _node.Admin.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(budget), """{"limitUsd":"2.25"}""");
        var over = await _node.UsageAsync(budget);

        Assert.Equal(
            """
            {"limitUsd":10,"spentUsd":3.5,"heldUsd":1.75,"exposureUsd":1,"overrunUsd":0,"overrun":{"aboveBoundUsd":0,"lateUsd":0,"correctionUsd":0,"limitLoweredUsd":0},"overrunBoundUsd":0,"remainingUsd":3.75,"usedPct":35,"state":"OK","periodStart":"2026-05-01T00:00:00Z","resetsAt":"2026-06-01T00:00:00Z","requestCount":4,"blockedCount":5}
            """,
            usage.GetRawText());
        Assert.Equal(
            """
            {"limitUsd":2.25,"spentUsd":3.5,"heldUsd":1.75,"exposureUsd":1,"overrunUsd":1.25,"overrun":{"aboveBoundUsd":0.25,"lateUsd":0,"correctionUsd":0,"limitLoweredUsd":1},"overrunBoundUsd":0,"remainingUsd":0,"usedPct":155.56,"state":"HARD","periodStart":"2026-05-01T00:00:00Z","resetsAt":"2026-06-01T00:00:00Z","requestCount":4,"blockedCount":5}
            """,
            over.GetRawText());
    }

    [Fact]
    public async Task State_FollowsTheSpend()
    {
        foreach (var (spent, state) in new[] { (7.99m, "OK"), (8m, "SOFT"), (10m, "HARD") })
        {
            var budget = await _node.MakeAsync();
            await LeaseAsync(BudgetsNode.IdOf(budget), Monthly(), new(Guid.CreateVersion7()), granted: spent, settled: spent);

            Assert.Equal((spent, state), (spent, (await _node.UsageAsync(budget)).Text("state")));
        }
    }

    [Fact]
    public async Task LimitOfZero_IsHardAtOnce_AndHasNoPercentage()
    {
        var usage = await _node.UsageAsync(await _node.MakeAsync(new { limitUsd = 0 }));

        Assert.Equal("HARD", usage.Text("state"));
        Assert.Equal(JsonValueKind.Null, usage.GetProperty("usedPct").ValueKind);
    }

    [Fact]
    public async Task Period_AfterTheOneTheBudgetWasMadeIn_BeginsWithNothing()
    {
        await _node.SpendAsync(_node.ChargeOf(3));
        var budget = await _node.MakeAsync(new { timeZone = "Europe/Berlin", period = "WEEKLY" });

        _node.Clock.SetUtcNow(new(2026, 5, 10, 21, 59, 59, 999, TimeSpan.Zero));
        var sunday = await _node.UsageAsync(budget);
        _node.Clock.Advance(TimeSpan.FromMilliseconds(1));
        var monday = await _node.UsageAsync(budget);

        Assert.Equal(("2026-05-03T22:00:00Z", "2026-05-10T22:00:00Z", 3m), (sunday.Text("periodStart"), sunday.Text("resetsAt"), Spent(sunday)));
        Assert.Equal(("2026-05-10T22:00:00Z", "2026-05-17T22:00:00Z", 0m), (monday.Text("periodStart"), monday.Text("resetsAt"), Spent(monday)));

        static decimal Spent(JsonElement usage) => usage.GetProperty("spentUsd").GetDecimal();
    }

    [Fact]
    public async Task Arm_RisesWhereAToldThresholdIsPutAboveTheSpend()
    {
        // What is told of already and spent of 10 USD; the change; the arms of SOFT and HARD after it.
        (string Told, decimal Spent, string Patch, (long, long) Arms)[] table =
        [
            ("SOFT,HARD", 10, """{"limitUsd":12.5}""", (0, 1)),
            ("SOFT,HARD", 10, """{"limitUsd":12.500000000001}""", (1, 1)),
            ("SOFT,HARD", 10, """{"limitUsd":10.0}""", (0, 0)),
            ("SOFT,HARD", 10, """{"limitUsd":9}""", (0, 0)),
            ("SOFT,HARD", 10, """{"limitUsd":20,"softLimitPct":50}""", (0, 1)),
            ("SOFT", 8.5m, """{"limitUsd":100}""", (1, 0)),
            ("SOFT", 8.5m, """{"softLimitPct":85}""", (0, 0)),
            ("SOFT", 8.5m, """{"softLimitPct":86}""", (1, 0)),
            ("SOFT", 8.5m, """{"softLimitPct":null}""", (1, 0)),
            // HARD was told of a refusal: neither its threshold nor the spend has moved.
            ("SOFT,HARD", 8.5m, """{"softLimitPct":null}""", (1, 0)),
            ("SOFT,HARD", 8.5m, """{"name":"renamed","enabled":false}""", (0, 0)),
            // Lowered, it puts nothing below it that was above.
            ("SOFT,HARD", 8.5m, """{"limitUsd":9}""", (0, 0)),
            ("", 8.5m, """{"limitUsd":100}""", (0, 0)),
        ];
        foreach (var (told, spent, patch, arms) in table)
        {
            var budget = await _node.MakeAsync();
            var (cap, start) = (BudgetsNode.IdOf(budget), Monthly());
            await LeaseAsync(cap, start, new(Guid.CreateVersion7()), granted: spent, settled: spent);
            foreach (var threshold in told.Split(',', StringSplitOptions.RemoveEmptyEntries))
            {
                await _node.ExecuteAsync(
                    "INSERT INTO cap_events (cap_id, start_ms, threshold, arm, event_id) VALUES (@cap, @start, @threshold, 0, @event)",
                    new { cap, start, threshold, @event = new RequestId(Guid.CreateVersion7()) });
            }

            using var patched = await _node.Admin.SendAsync(HttpMethod.Patch, BudgetsNode.UriOf(budget), patch);
            await patched.JsonAsync(HttpStatusCode.OK);

            var now = await _node.AskAsync(c => c.QuerySingleAsync<(long, long)>(
                "SELECT soft_arm, hard_arm FROM cap_periods WHERE cap_id = @cap AND start_ms = @start", new { cap, start }));
            Assert.Equal((told, spent, patch, arms), (told, spent, patch, now));
            Assert.Equal(spent, (await _node.UsageAsync(budget)).GetProperty("spentUsd").GetDecimal());
        }
    }

    /// <summary>Charges of both tenants around the edges of hours, corrected and failed ones among them, some models without a prefix.</summary>
    private Task SpendAsync(Random random, TestTenant other, string successor) => _node.SpendAsync(
        SomeCharges.Random(random, BudgetsNode.Start.AddDays(-12), BudgetsNode.Start, 600).Select(charge =>
        {
            var intent = charge.Intent;
            var tenant = intent.TenantId == SomeCharges.Tenants[0] ? _node.Tenant : other;
            return charge with
            {
                Intent = intent with
                {
                    TenantId = new(Guid.Parse(tenant.Id)),
                    ApiKeyId = new(Guid.Parse(tenant == other && intent.AttemptId.IntentTime.Second % 2 == 0 ? successor : tenant.KeyId)),
                    RequestedModel = intent.AttemptId.IntentTime.Minute % 2 == 0 ? intent.RequestedModel : intent.Model,
                },
            };
        }));

    private Task LeaseAsync(
        CapId cap, DateTimeOffset start, JournalId journal, decimal granted, decimal settled, decimal aboveBound = 0, long requests = 0, long refused = 0) =>
        _node.ExecuteAsync(
            """
            INSERT INTO leases (cap_id, start_ms, journal_id, granted_pico_usd, settled_pico_usd, above_bound_pico_usd, requests, refused)
            VALUES (@cap, @start, @journal, @granted, @settled, @aboveBound, @requests, @refused)
            """,
            new
            {
                cap,
                start,
                journal,
                granted = Usd.FromDecimal(granted),
                settled = Usd.FromDecimal(settled),
                aboveBound = Usd.FromDecimal(aboveBound),
                requests,
                refused,
            });

    private static DateTimeOffset Monthly() => PeriodCalendar.PeriodAt(CapPeriod.Monthly, "UTC", BudgetsNode.Start).From;

    private static Dictionary<string, JsonElement> Join(object scope, object more) =>
        JsonSerializer.SerializeToElement(scope).EnumerateObject().Concat(JsonSerializer.SerializeToElement(more).EnumerateObject())
            .ToDictionary(member => member.Name, member => member.Value);

    /// <summary>A row of the ledger, read one by one and by its time.</summary>
    private sealed record LedgerRow(
        DateTimeOffset At, string TenantId, string ApiKeyId, string Provider, string SentModel, IReadOnlyDictionary<string, string> Tags, decimal Usd, long Requests)
    {
        public static async Task<List<LedgerRow>> ReadAsync(DbConnection connection)
        {
            var rows = await connection.QueryAsync<(DateTimeOffset At, TenantId Tenant, ApiKeyId Key, string Provider, string Model, string Tags, long Cost, long Requests)>(
                "SELECT at_ms, tenant_id, api_key_id, provider, requested_model, tags, input_cost_pico_usd + output_cost_pico_usd, requests FROM charges");
            return [.. rows.Select(row => new LedgerRow(
                row.At,
                row.Tenant.ToString(),
                row.Key.ToString(),
                row.Provider,
                row.Model.Split('/')[^1],
                JsonSerializer.Deserialize<Dictionary<string, string>>(row.Tags)!.ToDictionary(tag => tag.Key, tag => tag.Value, StringComparer.OrdinalIgnoreCase),
                row.Cost / 1_000_000_000_000m,
                row.Requests))];
        }
    }
}

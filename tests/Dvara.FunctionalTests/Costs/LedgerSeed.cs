using System.Text.Json;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Time;
using Dvara.Server.Storage;

namespace Dvara.FunctionalTests.Costs;

/// <summary>Puts charges into a ledger, and its rollups beside them, as the ledger writer leaves them.</summary>
internal static class LedgerSeed
{
    private static readonly JournalId Journal = new(Guid.Parse("01890000-0000-7000-8000-000000000001"));

    private const string Insert = """
        INSERT INTO charges VALUES (@AttemptId, @Revision, @Kind, @State, @RequestId, @Attempt, @TenantId, @ApiKeyId, @Provider, @Model,
            @RequestedModel, @Endpoint, @Stream, @UncachedInput, @CacheRead, @CacheWrite, @Output, @Reasoning, @Estimated, @InputCost, @OutputCost,
            @LowerBound, @Requests, @EstimatedRequests, @UnpricedRequests, @UnresolvedRequests, @FailedAttempts, @PriceId, @Tags, @EndUser,
            @At, @BillingMonth, @LatencyMs, @Status, @Outcome, @ProviderRequestId, @IdempotencyKey, @JournalId, @Seq)
        """;

    private const string Measures = """
        SUM(requests), SUM(IFNULL(uncached_input, 0)), SUM(IFNULL(cache_read, 0)), SUM(IFNULL(cache_write, 0)), SUM(IFNULL(output, 0)),
        SUM(IFNULL(reasoning, 0)), SUM(input_cost_pico_usd), SUM(output_cost_pico_usd), SUM(estimated_requests), SUM(unpriced_requests),
        SUM(unresolved_requests), SUM(lower_bound_pico_usd), SUM(failed_attempts)
        """;

    private const string RollUp = $"""
        DELETE FROM rollup_hours; DELETE FROM rollup_minutes; DELETE FROM rollup_tag_hours;
        INSERT INTO rollup_hours
            SELECT at_ms - at_ms % 3600000, tenant_id, api_key_id, provider, model, journal_id, {Measures}
            FROM charges GROUP BY 1, 2, 3, 4, 5, 6;
        INSERT INTO rollup_minutes
            SELECT at_ms - at_ms % 60000, tenant_id, api_key_id, provider, model, journal_id, {Measures}
            FROM charges WHERE at_ms - at_ms % 60000 >= @minutesFrom GROUP BY 1, 2, 3, 4, 5, 6;
        INSERT INTO rollup_tag_hours
            SELECT at_ms - at_ms % 3600000, tenant_id, api_key_id, provider, model, lower(t.key), t.value, journal_id, {Measures}
            FROM charges, json_each(tags) t GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
        """;

    /// <summary>A tag key that got too many values on a day: the rollup lacks some of them.</summary>
    private const string Overflow = """
        INSERT INTO high_cardinality_tags (tenant_id, day_ms, tag_key, journal_id) VALUES (@tenant, @day, @key, @journal);
        DELETE FROM rollup_tag_hours
        WHERE tenant_id = @tenant AND tag_key = @key AND start_ms >= @day AND start_ms < @day + 86400000 AND tag_value > 'b';
        """;

    /// <param name="database">The ledger.</param>
    /// <param name="charges">In ledger order: revisions of an attempt after each other.</param>
    /// <param name="now">Minute rollups reach back 48 hours from here.</param>
    public static Task AddAsync(Database database, IEnumerable<Charge> charges, DateTimeOffset now) =>
        database.WriteAsync(
            WriteLane.Ledger,
            async transaction =>
            {
                var connection = transaction.Connection!;
                var states = new Dictionary<AttemptId, ChargeState>();
                var counted = new HashSet<RequestId>();
                var seq = await connection.QuerySingleAsync<long>("SELECT COUNT(*) FROM charges", transaction: transaction);
                foreach (var charge in charges)
                {
                    await connection.ExecuteAsync(Insert, Row(charge, states, counted, ++seq), transaction);
                }

                await connection.ExecuteAsync(RollUp, new { minutesFrom = now.AddHours(-48).ToUnixTimeMilliseconds() }, transaction);
            },
            CancellationToken.None);

    public static Task OverflowTagAsync(Database database, TenantId tenant, DateTimeOffset day, string key) =>
        database.WriteAsync(
            WriteLane.Ledger,
            transaction => transaction.Connection!.ExecuteAsync(
                Overflow, new { tenant, day = day.ToUnixTimeMilliseconds(), key, journal = Journal }, transaction),
            CancellationToken.None);

    private static object Row(Charge charge, Dictionary<AttemptId, ChargeState> states, HashSet<RequestId> counted, long seq)
    {
        var intent = charge.Intent;
        ChargeState? before = states.TryGetValue(intent.AttemptId, out var state) ? state : null;
        states[intent.AttemptId] = charge.State;
        return new
        {
            intent.AttemptId,
            charge.Revision,
            Kind = charge.Kind.ToString(),
            State = charge.State.ToString(),
            intent.RequestId,
            intent.Attempt,
            intent.TenantId,
            intent.ApiKeyId,
            intent.Provider,
            Model = charge.ServedModel,
            intent.RequestedModel,
            intent.Endpoint,
            intent.Stream,
            charge.Usage?.UncachedInput,
            charge.Usage?.CacheRead,
            charge.Usage?.CacheWrite,
            charge.Usage?.Output,
            charge.Usage?.Reasoning,
            charge.Estimated,
            InputCost = charge.Cost.Input,
            OutputCost = charge.Cost.Output,
            charge.LowerBound,
            Requests = charge.Revision == 0 && charge.State != ChargeState.Failed && counted.Add(intent.RequestId) ? 1 : 0,
            EstimatedRequests = Moves(ChargeState.Estimated),
            UnpricedRequests = Moves(ChargeState.Unpriced),
            UnresolvedRequests = Moves(ChargeState.Unresolved),
            FailedAttempts = Moves(ChargeState.Failed),
            charge.PriceId,
            Tags = JsonSerializer.Serialize(intent.Tags),
            intent.EndUser,
            At = intent.AttemptId.IntentTime,
            BillingMonth = BillingMonth.Of(intent.AttemptId.IntentTime).Value,
            charge.LatencyMs,
            charge.Status,
            charge.Outcome,
            charge.ProviderRequestId,
            intent.IdempotencyKey,
            JournalId = Journal,
            Seq = seq,
        };

        int Moves(ChargeState to) => (charge.State == to ? 1 : 0) - (before == to ? 1 : 0);
    }
}

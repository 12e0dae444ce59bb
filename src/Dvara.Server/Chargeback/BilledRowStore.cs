using System.Text.Json;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Statements;
using Dvara.Domain.Time;
using Dvara.Server.Storage;

namespace Dvara.Server.Chargeback;

/// <summary>
/// Reads what a statement adds up. The database adds up first, the rows of a day that differ in nothing a statement shows: a month of a
/// large tenant comes as thousands of sums instead of millions of rows. One by one, because tags may differ on every row.
/// </summary>
internal sealed class BilledRowStore(Database database)
{
    // Money is summed in two parts, whole millions and the rest: SQLite's SUM ends with an error beyond 64 bits.
    private const string Columns = """
        SELECT min(at_ms) AS at, kind, api_key_id AS apiKeyId, provider, model, tags,
            sum(uncached_input) AS uncachedInput, sum(cache_read) AS cacheRead, sum(cache_write) AS cacheWrite,
            sum(output) AS output, sum(reasoning) AS reasoning,
            sum(input_cost_pico_usd / 1000000) AS inputCostMillions, sum(input_cost_pico_usd % 1000000) AS inputCostRest,
            sum(output_cost_pico_usd / 1000000) AS outputCostMillions, sum(output_cost_pico_usd % 1000000) AS outputCostRest,
            sum(lower_bound_pico_usd / 1000000) AS lowerBoundMillions, sum(lower_bound_pico_usd % 1000000) AS lowerBoundRest,
            sum(requests) AS requests, sum(estimated_requests) AS estimatedRequests, sum(unpriced_requests) AS unpricedRequests,
            sum(unresolved_requests) AS unresolvedRequests
        FROM charges
        """;

    // By day of usage, because a late charge is shown with the month it was used in.
    private const string Groups = " GROUP BY at_ms / 86400000, kind, api_key_id, provider, model, tags";

    private const string BilledIn = Columns + " WHERE billing_month = @month AND tenant_id = @tenant" + Groups;

    // Attempt ids begin with the intent time, so the window is a stretch of the index.
    private const string UsedIn = Columns + " WHERE tenant_id = @tenant AND attempt_id >= @first AND attempt_id < @end" + Groups;

    /// <summary>Adds up what is billed in a month: what a closed month's statement consists of, for ever.</summary>
    public Task AddBilledAsync(StatementSheet sheet, TenantId tenant, BillingMonth month, CancellationToken cancellationToken) =>
        AddAsync(sheet, BilledIn, new { tenant, month = month.Value }, cancellationToken);

    /// <summary>Adds up what was used in a window, whatever month bills it, corrections included.</summary>
    public Task AddUsedAsync(StatementSheet sheet, TenantId tenant, TimeWindow window, CancellationToken cancellationToken) =>
        AddAsync(sheet, UsedIn, new { tenant, first = new AttemptId(Uuid7.FirstAt(window.From)), end = new AttemptId(Uuid7.FirstAt(window.To)) }, cancellationToken);

    private Task<bool> AddAsync(StatementSheet sheet, string sql, object parameters, CancellationToken cancellationToken) =>
        database.ReadAsync(
            async connection =>
            {
                await foreach (var row in connection.QueryUnbufferedAsync<Row>(sql, parameters).WithCancellation(cancellationToken))
                {
                    sheet.Add(row.ToBilledRow());
                }

                return true;
            },
            cancellationToken);

    private sealed class Row
    {
        public DateTimeOffset At { get; init; }

        public RevisionKind Kind { get; init; }

        public ApiKeyId ApiKeyId { get; init; }

        public string Provider { get; init; } = "";

        public string Model { get; init; } = "";

        public string Tags { get; init; } = "";

        public long? UncachedInput { get; init; }

        public long? CacheRead { get; init; }

        public long? CacheWrite { get; init; }

        public long? Output { get; init; }

        public long? Reasoning { get; init; }

        public long InputCostMillions { get; init; }

        public long InputCostRest { get; init; }

        public long OutputCostMillions { get; init; }

        public long OutputCostRest { get; init; }

        public long LowerBoundMillions { get; init; }

        public long LowerBoundRest { get; init; }

        public long Requests { get; init; }

        public long EstimatedRequests { get; init; }

        public long UnpricedRequests { get; init; }

        public long UnresolvedRequests { get; init; }

        public BilledRow ToBilledRow() => new(At, Kind, Provider, Model, ApiKeyId, ReadTags(), new Tally
        {
            Requests = Requests,
            InputTokens = (UncachedInput ?? 0) + (CacheRead ?? 0) + (CacheWrite ?? 0),
            CachedInputTokens = CacheRead ?? 0,
            CacheWriteTokens = CacheWrite ?? 0,
            OutputTokens = (Output ?? 0) + (Reasoning ?? 0),
            ReasoningTokens = Reasoning ?? 0,
            InputCost = Whole(InputCostMillions, InputCostRest),
            OutputCost = Whole(OutputCostMillions, OutputCostRest),
            Estimated = EstimatedRequests,
            Unpriced = UnpricedRequests,
            Unresolved = UnresolvedRequests,
            UnresolvedLowerBound = Whole(LowerBoundMillions, LowerBoundRest),
        });

        private static Usd Whole(long millions, long rest) => new(((Int128)millions * 1_000_000) + rest);

        private IReadOnlyDictionary<string, string> ReadTags() =>
            Tags is "{}" ? Intent.NoTags : JsonSerializer.Deserialize<Dictionary<string, string>>(Tags) ?? Intent.NoTags;
    }
}

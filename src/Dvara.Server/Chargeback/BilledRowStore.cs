using System.Text.Json;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Statements;
using Dvara.Domain.Time;
using Dvara.Server.Storage;

namespace Dvara.Server.Chargeback;

/// <summary>Reads the ledger rows of a statement, one by one: a month of a large tenant does not fit into memory, its lines do.</summary>
internal sealed class BilledRowStore(Database database)
{
    private const string Columns = """
        SELECT at_ms AS at, kind, api_key_id AS apiKeyId, provider, model, tags,
            uncached_input AS uncachedInput, cache_read AS cacheRead, cache_write AS cacheWrite, output, reasoning,
            input_cost_pico_usd AS inputCost, output_cost_pico_usd AS outputCost, lower_bound_pico_usd AS lowerBound,
            requests, estimated_requests AS estimatedRequests, unpriced_requests AS unpricedRequests,
            unresolved_requests AS unresolvedRequests
        FROM charges
        """;

    private const string BilledIn = Columns + """

        WHERE billing_month = @month AND tenant_id = @tenant
        ORDER BY attempt_id, revision
        """;

    // Attempt ids begin with the intent time, so the window is a stretch of the index.
    private const string UsedIn = Columns + """

        WHERE tenant_id = @tenant AND attempt_id >= @first AND attempt_id < @end
        ORDER BY attempt_id, revision
        """;

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

        public Usd InputCost { get; init; }

        public Usd OutputCost { get; init; }

        public Usd LowerBound { get; init; }

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
            InputCost = InputCost,
            OutputCost = OutputCost,
            Estimated = EstimatedRequests,
            Unpriced = UnpricedRequests,
            Unresolved = UnresolvedRequests,
            UnresolvedLowerBound = LowerBound,
        });

        private IReadOnlyDictionary<string, string> ReadTags() =>
            Tags is "{}" ? Intent.NoTags : JsonSerializer.Deserialize<Dictionary<string, string>>(Tags) ?? Intent.NoTags;
    }
}

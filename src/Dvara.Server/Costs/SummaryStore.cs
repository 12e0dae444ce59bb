using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Storage;

namespace Dvara.Server.Costs;

/// <summary>
/// All SQL of summaries. Sums are exact: SQLite's SUM ends with an error beyond 64 bits, so each amount is summed in two parts (whole
/// millions and the rest), and the parts are put together in 128 bits.
/// </summary>
internal sealed class SummaryStore(Database database, TimeProvider clock)
{
    /// <summary>Minute rollups are kept for 48 hours; the last of them is left alone, because it is swept while we read.</summary>
    private static readonly TimeSpan MinutesReadable = TimeSpan.FromHours(47);

    // Every tenant that has anything, found by skipping through the primary key: so a rollup is read tenant by tenant, as it is sorted.
    private const string EachTenant = """
        WITH RECURSIVE each (id) AS (
            SELECT (SELECT tenant_id FROM rollup_hours ORDER BY tenant_id LIMIT 1)
            UNION ALL
            SELECT (SELECT h.tenant_id FROM rollup_hours h WHERE h.tenant_id > each.id ORDER BY h.tenant_id LIMIT 1)
            FROM each WHERE each.id IS NOT NULL
        )

        """;

    private const string Columns = """
        SELECT CASE WHEN @bucketMs > 0 THEN r.start_ms - r.start_ms % @bucketMs END AS startMs,
            CASE WHEN @byTenant THEN r.tenant_id END AS tenantId,
            CASE WHEN @byApiKey THEN r.api_key_id END AS apiKeyId,
            CASE WHEN @byProvider THEN r.provider END AS provider,
            CASE WHEN @byModel THEN r.model END AS model,
            SUM(r.requests) AS requests,
            SUM(r.uncached_input / 1000000) AS uncachedInputMillions, SUM(r.uncached_input % 1000000) AS uncachedInputRest,
            SUM(r.cache_read / 1000000) AS cacheReadMillions, SUM(r.cache_read % 1000000) AS cacheReadRest,
            SUM(r.cache_write / 1000000) AS cacheWriteMillions, SUM(r.cache_write % 1000000) AS cacheWriteRest,
            SUM(r.output / 1000000) AS outputMillions, SUM(r.output % 1000000) AS outputRest,
            SUM(r.reasoning / 1000000) AS reasoningMillions, SUM(r.reasoning % 1000000) AS reasoningRest,
            SUM(r.input_cost_pico_usd / 1000000) AS inputCostMillions, SUM(r.input_cost_pico_usd % 1000000) AS inputCostRest,
            SUM(r.output_cost_pico_usd / 1000000) AS outputCostMillions, SUM(r.output_cost_pico_usd % 1000000) AS outputCostRest,
            SUM(r.unresolved_lower_bound_pico_usd / 1000000) AS lowerBoundMillions,
            SUM(r.unresolved_lower_bound_pico_usd % 1000000) AS lowerBoundRest,
            SUM(r.estimated_requests) AS estimatedRequests, SUM(r.unpriced_requests) AS unpricedRequests,
            SUM(r.unresolved_requests) AS unresolvedRequests, SUM(r.failed_attempts) AS failedAttempts,
        """;

    private const string Matching = """
         AND r.start_ms >= @fromMs AND r.start_ms < @toMs
            AND (@apiKeyId IS NULL OR r.api_key_id = @apiKeyId)
            AND (@provider IS NULL OR r.provider = @provider)
            AND (@model IS NULL OR r.model = @model)
        """;

    private const string ByColumns = " GROUP BY 1, 2, 3, 4, 5";

    private const string ByTag = """

             AND r.tag_key = @tagKey AND (@tagValue IS NULL OR r.tag_value = @tagValue)
        GROUP BY 1, 2, 3, 4, 5, r.tag_value
        """;

    private static readonly Statement SumHours = new("NULL", "rollup_hours", ByColumns);

    private static readonly Statement SumMinutes = new("NULL", "rollup_minutes", ByColumns);

    private static readonly Statement SumTagHours = new("r.tag_value", "rollup_tag_hours", ByTag);

    private const string HighCardinalityDays = """
        SELECT DISTINCT day_ms FROM high_cardinality_tags
        WHERE tag_key = @tagKey AND day_ms > @fromMs - 86400000 AND day_ms < @toMs
            AND (@tenantId IS NULL OR tenant_id = @tenantId)
        """;

    /// <summary>Adds everything that <paramref name="query"/> is about to <paramref name="tally"/>, all of it as of one moment.</summary>
    public Task ReadAsync(SummaryQuery query, CostTally tally, CancellationToken cancellationToken) =>
        database.ReadAsync(
            async connection =>
            {
                await using var snapshot = await connection.BeginSnapshotAsync(cancellationToken);
                foreach (var piece in await CoverAsync(snapshot, query))
                {
                    await ReadPieceAsync(snapshot, query, piece, tally, cancellationToken);
                    if (tally.IsOverfull)
                    {
                        break;
                    }
                }

                return true;
            },
            cancellationToken);

    private async Task<IReadOnlyList<CoverPiece>> CoverAsync(DbTransaction snapshot, SummaryQuery query)
    {
        var (fromMs, toMs) = (query.Filter.FromMs, query.Filter.ToMs);
        if (query.TagKeys.Count == 0)
        {
            return TimeCover.Of(fromMs, toMs, (clock.GetUtcNow() - MinutesReadable).ToUnixTimeMilliseconds(), []);
        }

        if (query.TagKeys.Count > 1)
        {
            return [new(CoverSource.Rows, fromMs, toMs)];
        }

        var days = await snapshot.Connection!.QueryAsync<long>(
            HighCardinalityDays,
            new { tagKey = query.TagKeys[0], fromMs, toMs, tenantId = query.Filter.TenantId },
            snapshot);
        return TimeCover.Of(fromMs, toMs, minutesFromMs: long.MaxValue, days);
    }

    private static Task ReadPieceAsync(
        DbTransaction snapshot, SummaryQuery query, CoverPiece piece, CostTally tally, CancellationToken cancellationToken) =>
        piece.Source switch
        {
            CoverSource.Rows => ReadRowsAsync(snapshot, query, piece, tally, cancellationToken),
            CoverSource.Minutes => ReadRollupAsync(snapshot, SumMinutes, query, piece, tally.Add, cancellationToken),
            _ when query.TagKeys.Count == 0 => ReadRollupAsync(snapshot, SumHours, query, piece, tally.Add, cancellationToken),
            _ => ReadTagHoursAsync(snapshot, query, piece, tally, cancellationToken),
        };

    /// <summary>Tag rollups hold the charges that have the tag; the others are the whole without them.</summary>
    private static async Task ReadTagHoursAsync(
        DbTransaction snapshot, SummaryQuery query, CoverPiece piece, CostTally tally, CancellationToken cancellationToken)
    {
        if (query.Filter.Tags.Count > 0)
        {
            await ReadRollupAsync(snapshot, SumTagHours, query, piece, tally.Add, cancellationToken);
            return;
        }

        await ReadRollupAsync(snapshot, SumHours, query, piece, tally.Add, cancellationToken);
        await ReadRollupAsync(snapshot, SumTagHours, query, piece, Move, cancellationToken);

        void Move(CostCell tagged)
        {
            tally.Add(tagged);
            tally.Add(tagged.Untagged());
        }
    }

    private static async Task ReadRollupAsync(
        DbTransaction snapshot, Statement sum, SummaryQuery query, CoverPiece piece, Action<CostCell> add, CancellationToken cancellationToken)
    {
        var filter = query.Filter;
        var parameters = new
        {
            fromMs = piece.FromMs,
            toMs = piece.ToMs,
            bucketMs = query.BucketMs,
            byTenant = query.Has(CostDimensionKind.Tenant),
            byApiKey = query.Has(CostDimensionKind.ApiKey),
            byProvider = query.Has(CostDimensionKind.Provider),
            byModel = query.Has(CostDimensionKind.Model),
            tenantId = filter.TenantId,
            apiKeyId = filter.ApiKeyId,
            provider = filter.Provider,
            model = filter.Model,
            tagKey = query.TagKeys.Count == 0 ? null : query.TagKeys[0],
            tagValue = filter.Tags.Count == 0 ? null : filter.Tags[0].Value,
        };
        var rows = snapshot.Connection!.QueryUnbufferedAsync<RollupRow>(filter.TenantId is null ? sum.OfAll : sum.OfTenant, parameters, snapshot);
        await foreach (var row in rows.WithCancellation(cancellationToken))
        {
            add(row.ToCell());
        }
    }

    private static async Task ReadRowsAsync(
        DbTransaction snapshot, SummaryQuery query, CoverPiece piece, CostTally tally, CancellationToken cancellationToken)
    {
        await foreach (var row in CostsStore.ReadInOrderAsync(snapshot, query.Filter, piece.FromMs, piece.ToMs, cancellationToken))
        {
            var tags = query.TagKeys.Count == 0 ? null : row.ReadTags();
            if (tags is not null && !query.Filter.MatchesTags(tags))
            {
                continue;
            }

            tally.Add(new()
            {
                StartMs = row.At.ToUnixTimeMilliseconds(),
                TenantId = row.TenantId,
                ApiKeyId = row.ApiKeyId,
                Provider = row.Provider,
                Model = row.Model,
                Tags = tags,
                Sums = row.ToSums(),
            });
            if (tally.IsOverfull)
            {
                return;
            }
        }
    }

    /// <summary>A sum over a rollup, of one tenant or of all of them.</summary>
    private sealed class Statement(string tagValue, string rollup, string groups)
    {
        public string OfTenant { get; } = $"{Columns} {tagValue} AS tagValue FROM {rollup} r WHERE r.tenant_id = @tenantId{Matching}{groups}";

        public string OfAll { get; } = $"{EachTenant}{Columns} {tagValue} AS tagValue FROM each CROSS JOIN {rollup} r WHERE r.tenant_id = each.id{Matching}{groups}";
    }

    private sealed class RollupRow
    {
        public long? StartMs { get; init; }

        public TenantId? TenantId { get; init; }

        public ApiKeyId? ApiKeyId { get; init; }

        public string? Provider { get; init; }

        public string? Model { get; init; }

        public string? TagValue { get; init; }

        public long Requests { get; init; }

        public long UncachedInputMillions { get; init; }

        public long UncachedInputRest { get; init; }

        public long CacheReadMillions { get; init; }

        public long CacheReadRest { get; init; }

        public long CacheWriteMillions { get; init; }

        public long CacheWriteRest { get; init; }

        public long OutputMillions { get; init; }

        public long OutputRest { get; init; }

        public long ReasoningMillions { get; init; }

        public long ReasoningRest { get; init; }

        public long InputCostMillions { get; init; }

        public long InputCostRest { get; init; }

        public long OutputCostMillions { get; init; }

        public long OutputCostRest { get; init; }

        public long LowerBoundMillions { get; init; }

        public long LowerBoundRest { get; init; }

        public long EstimatedRequests { get; init; }

        public long UnpricedRequests { get; init; }

        public long UnresolvedRequests { get; init; }

        public long FailedAttempts { get; init; }

        public CostCell ToCell() => new()
        {
            StartMs = StartMs,
            TenantId = TenantId,
            ApiKeyId = ApiKeyId,
            Provider = Provider,
            Model = Model,
            TagValue = TagValue,
            Sums = new()
            {
                Requests = Requests,
                UncachedInput = Whole(UncachedInputMillions, UncachedInputRest),
                CacheRead = Whole(CacheReadMillions, CacheReadRest),
                CacheWrite = Whole(CacheWriteMillions, CacheWriteRest),
                Output = Whole(OutputMillions, OutputRest),
                Reasoning = Whole(ReasoningMillions, ReasoningRest),
                InputCostPicoUsd = Whole(InputCostMillions, InputCostRest),
                OutputCostPicoUsd = Whole(OutputCostMillions, OutputCostRest),
                UnresolvedLowerBoundPicoUsd = Whole(LowerBoundMillions, LowerBoundRest),
                EstimatedRequests = EstimatedRequests,
                UnpricedRequests = UnpricedRequests,
                UnresolvedRequests = UnresolvedRequests,
                FailedAttempts = FailedAttempts,
            },
        };

        private static Int128 Whole(long millions, long rest) => ((Int128)millions * 1_000_000) + rest;
    }
}

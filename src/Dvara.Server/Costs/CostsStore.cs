using System.Data.Common;
using System.Runtime.CompilerServices;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Storage;

namespace Dvara.Server.Costs;

/// <summary>All SQL that reads single charges. An attempt's id starts with its time, so ranges of time are ranges of ids.</summary>
internal sealed class CostsStore(Database database)
{
    private const string Columns = """
        SELECT c.attempt_id AS attemptId, c.revision, c.kind, c.state, c.request_id AS requestId, c.attempt, c.tenant_id AS tenantId,
            c.api_key_id AS apiKeyId, c.provider, c.model, c.requested_model AS requestedModel, c.uncached_input AS uncachedInput,
            c.cache_read AS cacheRead, c.cache_write AS cacheWrite, c.output, c.reasoning, c.estimated,
            c.input_cost_pico_usd AS inputCostPicoUsd, c.output_cost_pico_usd AS outputCostPicoUsd,
            c.lower_bound_pico_usd AS lowerBoundPicoUsd, c.requests, c.estimated_requests AS estimatedRequests,
            c.unpriced_requests AS unpricedRequests, c.unresolved_requests AS unresolvedRequests, c.failed_attempts AS failedAttempts,
            c.price_id AS priceId, c.tags, c.end_user AS endUser, c.at_ms AS at, c.billing_month AS billingMonth,
            c.latency_ms AS latencyMs, c.status, c.outcome
        """;

    private const string Rows = Columns + " FROM charges c WHERE";

    private const string WholeByAttempt = Columns + """
        , c.endpoint, c.stream, c.provider_request_id AS providerRequestId, c.idempotency_key AS idempotencyKey,
            c.journal_id AS journalId, c.journal_seq AS journalSeq
        FROM charges c WHERE c.attempt_id = @attemptId ORDER BY c.revision
        """;

    private const string InRange = """
             c.attempt_id >= @first AND c.attempt_id < @end
            AND (@apiKeyId IS NULL OR c.api_key_id = @apiKeyId)
            AND (@provider IS NULL OR c.provider = @provider)
            AND (@model IS NULL OR c.model = @model)
        """;

    /// <summary>Rows of one read of a list grow up to here while filters leave little of them.</summary>
    private const int ChunkRows = 2_000;

    // A statement per index: an optional "tenant_id = @tenantId" would have the engine walk everybody's rows.
    private const string OfTenant = " c.tenant_id = @tenantId AND";
    private const string OfRequest = " c.request_id = @requestId AND (@tenantId IS NULL OR c.tenant_id = @tenantId) AND";
    private const string InOrder = " ORDER BY c.attempt_id, c.revision";
    private const string Newest = " ORDER BY c.attempt_id DESC, c.revision DESC";

    private const string AllInOrder = Rows + InRange + InOrder;
    private const string TenantInOrder = Rows + OfTenant + InRange + InOrder;
    private const string AllNewest = Rows + InRange + Newest + " LIMIT @limit";
    private const string TenantNewest = Rows + OfTenant + InRange + Newest + " LIMIT @limit";
    private const string RequestNewest = Rows + OfRequest + InRange + Newest + " LIMIT @limit";
    private const string ByAttempt = Rows + " c.attempt_id = @attemptId ORDER BY c.revision";
    private const string ByRequest = Rows + " c.request_id = @requestId" + InOrder;

    /// <summary>The rows of one attempt by revision; empty for an unknown one.</summary>
    public Task<IReadOnlyList<CostRow>> FindAsync(AttemptId attemptId, CancellationToken cancellationToken) =>
        ListAsync(ByAttempt, new { attemptId }, cancellationToken);

    /// <summary>The same, with every column that another revision needs.</summary>
    public async Task<IReadOnlyList<ResolutionRow>> FindWholeAsync(AttemptId attemptId, CancellationToken cancellationToken) =>
        [.. await database.ReadAsync(c => c.QueryAsync<ResolutionRow>(WholeByAttempt, new { attemptId }), cancellationToken)];

    /// <summary>The rows of one request by attempt and revision, whoever made it.</summary>
    public Task<IReadOnlyList<CostRow>> FindAsync(RequestId requestId, CancellationToken cancellationToken) =>
        ListAsync(ByRequest, new { requestId }, cancellationToken);

    /// <summary>The newest lines that match, newest first.</summary>
    /// <param name="filter">Which attempts.</param>
    /// <param name="requestId">Only those of this request.</param>
    /// <param name="state">Only those whose last revision left them in this state.</param>
    /// <param name="before">Only attempts older than this one.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public Task<IReadOnlyList<CostLine>> ListAsync(
        CostFilter filter, RequestId? requestId, ChargeState? state, AttemptId? before, int limit, CancellationToken cancellationToken) =>
        database.ReadAsync<IReadOnlyList<CostLine>>(
            async connection =>
            {
                var sql = requestId is not null ? RequestNewest : filter.TenantId is not null ? TenantNewest : AllNewest;
                var end = before ?? FirstOf(filter.ToMs);
                var lines = new List<CostLine>(limit);
                var (take, more) = (limit + 16, true);
                while (more && lines.Count < limit)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    var rows = (await connection.QueryAsync<CostRow>(
                        sql, Parameters(filter, FirstOf(filter.FromMs), end, requestId, take))).AsList();
                    more = rows.Count == take;
                    take = take < ChunkRows ? take * 4 : take;
                    var attempts = rows.GroupBy(row => row.AttemptId).ToList();
                    if (more)
                    {
                        // Of the last attempt some rows may be missing: it is read again, whole.
                        attempts.RemoveAt(attempts.Count - 1);
                        take = attempts.Count == 0 ? take * 4 : take;
                    }

                    end = attempts.Count == 0 ? end : attempts[^1].Key;
                    lines.AddRange(attempts
                        .Select(attempt => CostLine.Of([.. attempt.Reverse()]))
                        .Where(line => (state is null || line.State == state) && filter.MatchesTags(line.Tags))
                        .Take(limit - lines.Count));
                }

                return lines;
            },
            cancellationToken);

    /// <summary>The rows of a stretch of time by attempt and revision, one at a time. Tags are left to the reader.</summary>
    public static async IAsyncEnumerable<CostRow> ReadInOrderAsync(
        DbTransaction snapshot, CostFilter filter, long fromMs, long toMs, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var rows = snapshot.Connection!.QueryUnbufferedAsync<CostRow>(
            filter.TenantId is null ? AllInOrder : TenantInOrder, Parameters(filter, FirstOf(fromMs), FirstOf(toMs)), snapshot);
        await foreach (var row in rows.WithCancellation(cancellationToken))
        {
            yield return row;
        }
    }

    private static AttemptId FirstOf(long ms) => new(Uuid7.FirstAt(DateTimeOffset.FromUnixTimeMilliseconds(ms)));

    private static object Parameters(CostFilter filter, AttemptId first, AttemptId end, RequestId? requestId = null, int limit = 0) => new
    {
        limit,
        first,
        end,
        requestId,
        tenantId = filter.TenantId,
        apiKeyId = filter.ApiKeyId,
        provider = filter.Provider,
        model = filter.Model,
    };

    private async Task<IReadOnlyList<CostRow>> ListAsync(string sql, object parameters, CancellationToken cancellationToken) =>
        [.. await database.ReadAsync(c => c.QueryAsync<CostRow>(sql, parameters), cancellationToken)];
}

using Dapper;
using Dvara.Domain;
using Dvara.Domain.Time;
using Dvara.Server.Storage;

namespace Dvara.Server.Costs;

/// <summary>A model that was used and has no price for it.</summary>
/// <param name="Provider">Its provider.</param>
/// <param name="Model">As the provider says it served.</param>
/// <param name="Requests">Requests with an attempt that is unpriced.</param>
/// <param name="InputTokens">Whole input of those attempts.</param>
/// <param name="OutputTokens">Whole output of those attempts.</param>
/// <param name="FirstSeenAt">Start of the first of them.</param>
/// <param name="LastSeenAt">Start of the last of them.</param>
internal sealed record UnpricedModel(
    string Provider, string Model, long Requests, long InputTokens, long OutputTokens, DateTimeOffset FirstSeenAt, DateTimeOffset LastSeenAt)
{
    public long Tokens => checked(InputTokens + OutputTokens);
}

/// <summary>Reads the ledger for usage that nobody has priced yet.</summary>
internal sealed class UnpricedStore(Database database)
{
    // A revision's tokens are signed deltas: an attempt's usage is the sum over its rows, its state that of the last one.
    private const string ByModel = """
        WITH unpriced AS (
            SELECT c.attempt_id FROM charges c
            WHERE c.state = 'UNPRICED' AND c.at_ms >= @from AND c.at_ms < @to AND (@tenantId IS NULL OR c.tenant_id = @tenantId)
                AND NOT EXISTS (SELECT 1 FROM charges later WHERE later.attempt_id = c.attempt_id AND later.revision > c.revision)
        )
        SELECT c.provider, c.model, count(DISTINCT c.request_id) AS requests,
            sum(coalesce(c.uncached_input, 0) + coalesce(c.cache_read, 0) + coalesce(c.cache_write, 0)) AS inputTokens,
            sum(coalesce(c.output, 0) + coalesce(c.reasoning, 0)) AS outputTokens,
            min(c.at_ms) AS firstSeenAt, max(c.at_ms) AS lastSeenAt
        FROM unpriced JOIN charges c ON c.attempt_id = unpriced.attempt_id
        WHERE @afterProvider IS NULL OR (c.provider, c.model) > (@afterProvider, @afterModel)
        GROUP BY c.provider, c.model
        ORDER BY c.provider, c.model LIMIT @limit
        """;

    /// <param name="tenantId">Only its charges; null: everybody's.</param>
    /// <param name="window">Only attempts that began in it.</param>
    /// <param name="after">Only models behind it by provider and name.</param>
    /// <param name="limit">At most so many.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public async Task<List<UnpricedModel>> ListAsync(
        TenantId? tenantId, TimeWindow window, (string Provider, string Model)? after, int limit, CancellationToken cancellationToken)
    {
        var parameters = new
        {
            tenantId,
            from = window.From,
            to = window.To,
            afterProvider = after?.Provider,
            afterModel = after?.Model,
            limit,
        };
        var rows = await database.ReadAsync(c => c.QueryAsync<Row>(ByModel, parameters), cancellationToken);
        return [.. rows.Select(row => new UnpricedModel(
            row.Provider, row.Model, row.Requests, row.InputTokens, row.OutputTokens, row.FirstSeenAt, row.LastSeenAt))];
    }

    private sealed class Row
    {
        public string Provider { get; init; } = "";

        public string Model { get; init; } = "";

        public long Requests { get; init; }

        public long InputTokens { get; init; }

        public long OutputTokens { get; init; }

        public DateTimeOffset FirstSeenAt { get; init; }

        public DateTimeOffset LastSeenAt { get; init; }
    }
}

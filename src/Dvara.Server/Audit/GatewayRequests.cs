using System.Text.Json;
using Dvara.Domain;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Audit;

/// <summary>Tells the ledger rows of one request as one event. Sums run over all attempts and revisions; how it ended is said by the last one.</summary>
internal static class GatewayRequests
{
    /// <param name="rows">All rows of one request, by attempt and revision.</param>
    public static AuditEvent ToEvent(IReadOnlyList<AttemptRow> rows)
    {
        var (first, last) = (rows[0], rows[^1]);
        return new()
        {
            Id = first.EventId.Value,
            Timestamp = first.Timestamp,
            Type = AuditTypes.GatewayRequest,
            TenantId = first.TenantId,
            Actor = first.ApiKeyId.ToString(),
            RequestId = first.RequestId.ToString(),
            Payload = JsonSerializer.Serialize(
                new
                {
                    outcome = last.State.ToLowerInvariant(),
                    code = last.Outcome,
                    last.Status,
                    last.Endpoint,
                    last.Stream,
                    last.Provider,
                    last.Model,
                    last.RequestedModel,
                    last.ApiKeyId,
                    attempts = rows.Select(row => row.AttemptId).Distinct().Count(),
                    inputTokens = Sum(rows, row => Sum(row.UncachedInput, row.CacheRead, row.CacheWrite)),
                    cachedInputTokens = Sum(rows, row => row.CacheRead),
                    cacheWriteTokens = Sum(rows, row => row.CacheWrite),
                    outputTokens = Sum(rows, row => Sum(row.Output, row.Reasoning)),
                    reasoningTokens = Sum(rows, row => row.Reasoning),
                    totalCostUsd = rows.Aggregate(Usd.Zero, (sum, row) => sum + row.InputCost + row.OutputCost),
                    currency = "USD",
                    estimated = rows.GroupBy(row => row.AttemptId).Any(attempt => attempt.Last().Estimated),
                    last.LatencyMs,
                },
                AdminJson.Options),
        };
    }

    private static long? Sum(IReadOnlyList<AttemptRow> rows, Func<AttemptRow, long?> count) => Sum([.. rows.Select(count)]);

    /// <summary>Null where nothing was reported, which is not zero.</summary>
    private static long? Sum(params long?[] counts) => counts.All(count => count is null) ? null : counts.Sum();
}

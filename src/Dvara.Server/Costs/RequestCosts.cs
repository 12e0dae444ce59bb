using Dvara.Domain;

namespace Dvara.Server.Costs;

/// <summary>What one request cost, for the key that made it: the front door of the data plane's <c>GET /v1/requests/{id}</c>.</summary>
internal sealed class RequestCosts(CostsStore store, LedgerCatchUp ledger)
{
    /// <returns>A line per attempt, the first attempt first; null for a request that is unknown or was made with another key.</returns>
    public async Task<IReadOnlyList<CostLine>?> FindAsync(
        RequestId request, TenantId tenant, ApiKeyId apiKey, CancellationToken cancellationToken)
    {
        await ledger.CatchUpAsync(cancellationToken);
        var rows = await store.FindAsync(request, cancellationToken);
        var lines = rows
            .Where(row => row.TenantId == tenant && row.ApiKeyId == apiKey)
            .GroupBy(row => row.AttemptId)
            .Select(attempt => CostLine.Of([.. attempt]))
            .OrderBy(line => line.Attempt)
            .ToList();
        return lines.Count == 0 ? null : lines;
    }
}

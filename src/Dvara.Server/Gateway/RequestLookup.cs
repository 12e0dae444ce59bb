using Dvara.Domain;
using Dvara.Server.ApiKeys;
using Dvara.Server.Costs;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Gateway;

/// <summary>GET /v1/requests/{id}: what a call of this very key cost; streams have no other way to say it.</summary>
internal sealed class RequestLookup(RequestCosts costs)
{
    public async ValueTask<IResult> FindAsync(ApiKeyIdentity caller, string id, CancellationToken cancellationToken)
    {
        var lines = Guid.TryParseExact(id, "D", out var request)
            ? await costs.FindAsync(new RequestId(request), new(caller.TenantId), new(caller.KeyId), cancellationToken)
            : null;
        return lines is null
            ? GatewayErrors.UnknownRequest
            : Results.Json(new { id, @object = "request", totalCostUsd = lines.Aggregate(Usd.Zero, (sum, line) => sum + line.TotalCostUsd), charges = lines }, AdminJson.Options);
    }
}

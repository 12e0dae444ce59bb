using Dvara.Domain;
using Dvara.Server.Costs;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Gateway;

/// <summary>GET /v1/requests/{id}: what a call of this very key cost; streams have no other way to say it.</summary>
internal sealed class RequestLookup(Admission admission, RequestCosts costs)
{
    public async Task<IResult> FindAsync(HttpContext httpContext, string id)
    {
        var (caller, error) = await admission.AuthenticateAsync(httpContext, scope: null);
        if (error is not null)
        {
            return error;
        }

        var lines = Guid.TryParseExact(id, "D", out var request)
            ? await costs.FindAsync(new RequestId(request), new(caller!.TenantId), new(caller.KeyId), httpContext.RequestAborted)
            : null;
        return lines is null
            ? GatewayErrors.UnknownRequest
            : Results.Json(new { id, @object = "request", totalCostUsd = lines.Aggregate(Usd.Zero, (sum, line) => sum + line.TotalCostUsd), charges = lines }, AdminJson.Options);
    }
}

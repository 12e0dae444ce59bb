using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Hosting.Idempotency;

namespace Dvara.Server.Costs;

internal static class ResolveEndpoint
{
    public static void MapResolve(this IEndpointRouteBuilder costs) =>
        costs.MapPost("/{id}/resolve", ResolveAsync).RequireScope("costs:write").WithoutQuery().WithSummary("Settle an unresolved charge");

    private static async Task<IResult> ResolveAsync(HttpContext httpContext, string id, Resolutions resolutions, TimeProvider clock)
    {
        var (request, error) = await AdminJson.ReadAsync<ResolutionRequest>(httpContext);
        if (error is not null)
        {
            return error;
        }

        var (usage, invalid) = request!.Read();
        if (invalid is not null)
        {
            return invalid;
        }

        if (!Guid.TryParseExact(id, "D", out var attempt))
        {
            return ApiError.NotFound("charge");
        }

        var admin = httpContext.Admin();
        var by = new RevisionOrder(admin.Id, RequestIdMiddleware.Of(httpContext), clock.GetUtcNow(), request.Note);
        var order = new ResolutionOrder(usage, by, httpContext.Features.Get<IdempotencyClaim>()?.Key);
        var (line, refusal) = await resolutions.ResolveAsync(new AttemptId(attempt), order, admin, httpContext.RequestAborted);
        if (refusal is { Status: StatusCodes.Status503ServiceUnavailable })
        {
            httpContext.Response.Headers.RetryAfter = "5";
        }

        return refusal is null ? Results.Json(line, AdminJson.Options) : refusal;
    }
}

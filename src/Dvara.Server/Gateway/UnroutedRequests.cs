using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Gateway;

/// <summary>
/// Requests that are refused whoever asks: for their spelling, their path, their method, or because they have been here before. Where the
/// key is known an event tells of it; a scan without one costs nothing.
/// </summary>
internal sealed class UnroutedRequests(Admission admission, RequestLog requests)
{
    private const string NoEndpoint = "(none)";

    public async Task RefuseAsync(HttpContext httpContext, ApiError error)
    {
        await NoteAsync(httpContext, error);
        await error.ExecuteAsync(httpContext);
    }

    /// <summary>Behind routing: what it found no endpoint for is answered 404 or 405, and noted.</summary>
    public Task InvokeAsync(HttpContext httpContext, RequestDelegate next) =>
        httpContext.GetEndpoint() is RouteEndpoint ? next(httpContext) : PassAsync(httpContext, next);

    private async Task PassAsync(HttpContext httpContext, RequestDelegate next)
    {
        await next(httpContext);
        await NoteAsync(httpContext, ErrorAnswers.Of(httpContext.Response.StatusCode));
    }

    private async ValueTask NoteAsync(HttpContext httpContext, ApiError error)
    {
        if (await admission.FindCallerAsync(httpContext) is { } caller)
        {
            requests.Record(new(
                RequestIdMiddleware.Of(httpContext), new(caller.TenantId), new(caller.KeyId), NoEndpoint, error.Status, error.Code)
            {
                // The trail is kept for ever; a key has no place in it.
                Path = error == GatewayErrors.KeyInTarget ? null : RequestGuard.PathOf(httpContext).ToString(),
            });
        }
    }
}

using Dvara.Domain;

namespace Dvara.Server.Hosting;

/// <summary>Gives every request its id before anything can fail; the ledger, the audit trail and every answer carry the same one.</summary>
internal sealed class RequestIdMiddleware(RequestDelegate next, TimeProvider clock)
{
    public const string Header = "x-request-id";

    public static RequestId Of(HttpContext httpContext) =>
        (httpContext.Features.Get<RequestIdFeature>() ?? throw new InvalidOperationException("RequestIdMiddleware runs first.")).Id;

    public Task InvokeAsync(HttpContext httpContext)
    {
        var id = new RequestId(Uuid7.At(clock.GetUtcNow()));
        httpContext.Features.Set(new RequestIdFeature(id));
        httpContext.Response.Headers[Header] = id.ToString();
        return next(httpContext);
    }
}

internal sealed record RequestIdFeature(RequestId Id);

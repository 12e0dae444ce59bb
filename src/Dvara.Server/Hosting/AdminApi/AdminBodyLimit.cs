using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Http.Metadata;

namespace Dvara.Server.Hosting.AdminApi;

/// <summary>
/// Holds admin bodies to <see cref="AdminJson.MaxBodyBytes"/>, unless the endpoint names a limit of its own
/// (<c>WithMetadata(new RequestSizeLimitAttribute(…))</c>). A larger one is 413 while it is read, whatever length it declared.
/// </summary>
internal sealed class AdminBodyLimit(RequestDelegate next)
{
    public Task InvokeAsync(HttpContext httpContext)
    {
        if (httpContext.Request.Path.StartsWithSegments("/v1/admin", StringComparison.OrdinalIgnoreCase)
            && httpContext.GetEndpoint()?.Metadata.GetMetadata<IRequestSizeLimitMetadata>() is null
            && httpContext.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = AdminJson.MaxBodyBytes;
        }

        return next(httpContext);
    }
}

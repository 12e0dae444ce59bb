using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.Routing.Template;

namespace Dvara.Server.Hosting;

/// <summary>
/// Answers paths that no endpoint takes: 405 where another method would do, 404 where nothing would. Asked by catch-all routes, which
/// hide ASP.NET's own 405.
/// </summary>
internal static class UnmatchedPath
{
    public static void MapUnmatchedAdminPaths(this IEndpointRouteBuilder app) =>
        app.Map("/v1/admin/{**path}", (RequestDelegate)(httpContext => Answer(httpContext).ExecuteAsync(httpContext)));

    public static ApiError Answer(HttpContext httpContext)
    {
        var methods = MethodsOf(httpContext);
        if (methods.Count == 0)
        {
            return ApiError.NotFound("path");
        }

        httpContext.Response.Headers.Allow = string.Join(", ", methods);
        return new(StatusCodes.Status405MethodNotAllowed, "invalid_request_error", "method_not_allowed",
            $"{httpContext.Request.Method} is not possible here; this path takes {string.Join(", ", methods)}.");
    }

    private static SortedSet<string> MethodsOf(HttpContext httpContext)
    {
        var methods = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var endpoint in httpContext.RequestServices.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>())
        {
            if (endpoint.Metadata.GetMetadata<IHttpMethodMetadata>() is { HttpMethods.Count: > 0 } allowed
                && new TemplateMatcher(new RouteTemplate(endpoint.RoutePattern), []).TryMatch(httpContext.Request.Path, []))
            {
                methods.UnionWith(allowed.HttpMethods);
            }
        }

        return methods;
    }
}

using Dvara.Providers;

namespace Dvara.Server.Gateway;

/// <summary>The data plane's paths. Anything else under /v1 is 404 and never forwarded.</summary>
internal static class GatewayEndpoints
{
    public static void MapGateway(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/v1").WithTags("data plane");
        foreach (var endpoint in Enum.GetValues<Endpoint>())
        {
            group.MapPost(endpoint.Path()["/v1".Length..], (HttpContext httpContext, Conductor conductor) => conductor.RunAsync(httpContext, endpoint));
        }

        group.MapGet("/models", (HttpContext httpContext, ModelList models) => models.ListAsync(httpContext));
        group.MapGet("/models/{**id}", (string id, HttpContext httpContext, ModelList models) => models.FindAsync(httpContext, id));
        group.MapGet("/requests/{id}", (string id, HttpContext httpContext, RequestLookup requests) => requests.FindAsync(httpContext, id));
    }
}

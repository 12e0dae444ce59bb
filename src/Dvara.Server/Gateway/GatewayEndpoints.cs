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

        group.MapGet("/budget", (HttpContext httpContext, KeyedRead read, BudgetView budgets) =>
            read.RunAsync(httpContext, "/v1/budget", scope: null, caller => budgets.ListAsync(caller, httpContext.RequestAborted)));
        group.MapPost("/budget/estimate", (HttpContext httpContext, Conductor conductor) => conductor.EstimateAsync(httpContext));
        group.MapGet("/models", (HttpContext httpContext, KeyedRead read, ModelList models) =>
            read.RunAsync(httpContext, "/v1/models", "models:read", caller => new(models.List(caller))));
        group.MapGet("/models/{**id}", (string id, HttpContext httpContext, KeyedRead read, ModelList models) =>
            read.RunAsync(httpContext, "/v1/models/{id}", "models:read", caller => new(models.Find(caller, id))));
        group.MapGet("/requests/{id}", (string id, HttpContext httpContext, KeyedRead read, RequestLookup requests) =>
            read.RunAsync(httpContext, "/v1/requests/{id}", scope: null, caller => requests.FindAsync(caller, id, httpContext.RequestAborted)));
    }
}

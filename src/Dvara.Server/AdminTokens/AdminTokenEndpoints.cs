using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.AdminTokens;

internal static class AdminTokenEndpoints
{
    public static void MapAdminTokens(this IEndpointRouteBuilder app)
    {
        var tokens = app.MapGroup("/v1/admin/tokens").WithTags("Admin tokens");
        tokens.MapGet("/", ListAsync).RequireScope("tokens:read");
    }

    private static async Task<IResult> ListAsync(HttpContext httpContext, AdminTokenStore store)
    {
        var items = await store.ListAsync(httpContext.Admin().TenantId, null, 51, httpContext.RequestAborted);
        return Results.Json(new { items = items.Select(t => new { t.Id, t.Name }) }, AdminJson.Options);
    }
}

using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Costs;

/// <summary>Stands among the prices, where whoever sets them looks; what it tells is in the ledger.</summary>
internal static class UnpricedEndpoint
{
    private const string Path = "/v1/admin/pricing/unpriced";

    public static void MapUnpriced(this IEndpointRouteBuilder app) => app.MapGet(Path, ListAsync)
        .RequireScope("pricing:read")
        .WithTags("Pricing")
        .WithSummary("Models with usage and without a price");

    private static async Task<IResult> ListAsync(HttpContext httpContext, UnpricedStore store, LedgerCatchUp ledger, CursorCodec cursors)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var tenant = query.Tenant() ?? httpContext.Admin().TenantId;
        var window = query.Window(required: false);
        var limit = query.Limit();
        var scope = $"{Path} {tenant} {Instants.Format(window.From)} {Instants.Format(window.To)}";
        var position = query.Cursor(cursors, scope);
        if (query.Error() is { } error)
        {
            return error;
        }

        if (tenant is not null && !httpContext.Admin().MaySee(tenant))
        {
            return ApiError.NotFound("tenant");
        }

        await ledger.CatchUpAsync(httpContext.RequestAborted);
        var parts = position?.Split('\n');
        var models = await store.ListAsync(
            tenant, window, parts is null ? null : (parts[0], parts[1]), limit + 1, httpContext.RequestAborted);
        var items = models.Take(limit).ToList();
        var next = models.Count > limit ? cursors.Encode(scope, $"{items[^1].Provider}\n{items[^1].Model}") : null;
        return Results.Json(new { items, nextCursor = next, from = window.From, to = window.To }, AdminJson.Options);
    }
}

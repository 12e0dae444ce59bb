using Dvara.Domain;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Storage;

namespace Dvara.Server.Tenants;

internal static class TenantEndpoints
{
    private const string Path = "/v1/admin/tenants";

    public static void MapTenants(this IEndpointRouteBuilder app)
    {
        var tenants = app.MapGroup(Path).WithTags("Tenants");
        tenants.MapPost("/", CreateAsync).RequireScope("tenants:write").WithoutQuery().WithSummary("Make a tenant");
        tenants.MapGet("/", ListAsync).RequireScope("tenants:read").WithSummary("List tenants, newest first");
        tenants.MapGet("/{id}", ReadAsync).RequireScope("tenants:read").WithoutQuery().WithSummary("Read a tenant");
        tenants.MapPut("/{id}", ReplaceAsync).RequireScope("tenants:write").WithoutQuery().WithSummary("Replace a tenant");
        tenants.MapPatch("/{id}", PatchAsync).RequireScope("tenants:write").WithoutQuery().WithSummary("Change a tenant: a merge patch, null removes");
        tenants.MapDelete("/{id}", CloseAsync).RequireScope("tenants:write").WithoutQuery()
            .WithSummary("Close a tenant: readable and reportable for ever, its keys answer 401");
    }

    private static async Task<IResult> CreateAsync(HttpContext httpContext, TenantStore store, ChangeFeed changes, TimeProvider clock)
    {
        var admin = httpContext.Admin();
        if (admin.TenantId is not null)
        {
            return new ApiError(StatusCodes.Status403Forbidden, "permission_error", "missing_scope",
                "The admin token is narrowed to one tenant; it cannot make another.");
        }

        var (request, error) = await AdminJson.ReadAsync<TenantRequest>(httpContext, TenantRequest.Verbatim);
        if (error is not null)
        {
            return error;
        }

        var (tenant, refusal) = request!.ToTenant(before: null, clock.GetUtcNow());
        if (refusal is not null)
        {
            return refusal;
        }

        var created = AuditEvent.By(admin, clock, httpContext, AuditTypes.TenantCreated, tenant!.Id, TenantAudit.Facts(tenant));
        await store.InsertAsync(tenant, created, httpContext.RequestAborted);
        await changes.CatchUpAsync(httpContext.RequestAborted);
        httpContext.Response.Headers.Location = $"{Path}/{tenant.Id}";
        return Answered(httpContext, tenant, StatusCodes.Status201Created);
    }

    private static async Task<IResult> ListAsync(HttpContext httpContext, TenantStore store, CursorCodec cursors)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var limit = query.Limit();
        var filter = TenantFilter.Read(query, httpContext.Admin());
        var scope = filter.CursorScope(Path);
        var before = query.Cursor(cursors, scope) is { } position ? ParseId(position) : null;
        if (query.Error() is { } error)
        {
            return error;
        }

        var tenants = await store.ListAsync(filter, before, limit + 1, httpContext.RequestAborted);
        var items = tenants.Take(limit).Select(Answer.Of).ToList();
        return Results.Json(
            new Page<Answer>(items, tenants.Count > limit ? cursors.Encode(scope, items[^1].Id.ToString()) : null), AdminJson.Options);
    }

    private static async Task<IResult> ReadAsync(string id, HttpContext httpContext, TenantStore store)
    {
        var tenant = Visible(id, httpContext) is { } tenantId ? await store.FindAsync(tenantId, httpContext.RequestAborted) : null;
        return tenant is null ? ApiError.NotFound("tenant") : Answered(httpContext, tenant);
    }

    private static async Task<IResult> ReplaceAsync(string id, HttpContext httpContext, TenantStore store, ChangeFeed changes, TimeProvider clock)
    {
        var (request, error) = await AdminJson.ReadAsync<TenantRequest>(httpContext, TenantRequest.Verbatim);
        return error ?? await ChangeAsync(id, httpContext, store, changes, clock, tenant => request!.ToTenant(tenant, clock.GetUtcNow()));
    }

    private static async Task<IResult> PatchAsync(string id, HttpContext httpContext, TenantStore store, ChangeFeed changes, TimeProvider clock)
    {
        var (patch, error) = await AdminJson.ReadObjectAsync(httpContext, TenantRequest.Verbatim);
        return error ?? await ChangeAsync(
            id, httpContext, store, changes, clock, tenant => TenantRequest.Merge(tenant, patch!).ToTenant(tenant, clock.GetUtcNow()));
    }

    private static async Task<IResult> CloseAsync(string id, HttpContext httpContext, TenantStore store, ChangeFeed changes, TimeProvider clock)
    {
        var answer = await ChangeAsync(id, httpContext, store, changes, clock, tenant =>
            (tenant with { Status = TenantStatus.Closed, UpdatedAt = tenant.NextUpdate(clock.GetUtcNow()) }, null));
        return answer is ApiError ? answer : Results.NoContent();
    }

    /// <summary>Order of precedence: unknown or foreign, stale, refused by <paramref name="decide"/>.</summary>
    private static async Task<IResult> ChangeAsync(
        string id, HttpContext httpContext, TenantStore store, ChangeFeed changes, TimeProvider clock,
        Func<Tenant, (Tenant? Next, ApiError? Error)> decide)
    {
        var (match, error) = IfMatch.Read(httpContext);
        if (error is not null)
        {
            return error;
        }

        if (Visible(id, httpContext) is not { } tenantId)
        {
            return ApiError.NotFound("tenant");
        }

        var (tenant, refusal) = await store.ChangeAsync(
            tenantId,
            before => before is null ? (null, ApiError.NotFound("tenant"))
                : match!.Refuse(ETags.Of(before.UpdatedAt)) is { } stale ? (null, stale)
                : decide(before),
            (before, next) => AuditEvent.By(
                httpContext.Admin(), clock, httpContext, TenantAudit.TypeOf(before, next), next.Id, TenantAudit.Facts(before, next)),
            httpContext.RequestAborted);
        if (refusal is not null)
        {
            return refusal;
        }

        await changes.CatchUpAsync(httpContext.RequestAborted);
        return Answered(httpContext, tenant!);
    }

    private static IResult Answered(HttpContext httpContext, Tenant tenant, int status = StatusCodes.Status200OK)
    {
        httpContext.SetETag(ETags.Of(tenant.UpdatedAt));
        return Results.Json(Answer.Of(tenant), AdminJson.Options, statusCode: status);
    }

    /// <summary>Null for what is no id and for a tenant that the caller may not see.</summary>
    private static TenantId? Visible(string id, HttpContext httpContext) =>
        ParseId(id) is { } tenant && httpContext.Admin().MaySee(tenant) ? tenant : null;

    private static TenantId? ParseId(string text) => Guid.TryParseExact(text, "D", out var id) ? new TenantId(id) : null;

    private sealed record Answer(
        TenantId Id,
        string Name,
        string Status,
        string? Region,
        IReadOnlyDictionary<string, string> Metadata,
        IReadOnlyDictionary<string, string> Tags,
        DateTimeOffset CreatedAt,
        DateTimeOffset UpdatedAt)
    {
        public static Answer Of(Tenant tenant) => new(
            tenant.Id, tenant.Name, tenant.Status.ContractName(), tenant.Region, tenant.Metadata, tenant.Tags, tenant.CreatedAt, tenant.UpdatedAt);
    }
}

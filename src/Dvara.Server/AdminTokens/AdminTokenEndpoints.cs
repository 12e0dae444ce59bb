using Dvara.Domain;
using Dvara.Server.Audit;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Tenants;

namespace Dvara.Server.AdminTokens;

internal static class AdminTokenEndpoints
{
    private const string Path = "/v1/admin/tokens";

    public static void MapAdminTokens(this IEndpointRouteBuilder app)
    {
        var tokens = app.MapGroup(Path).WithTags("Admin tokens");
        tokens.MapPost("/", CreateAsync).RequireScope("tokens:write").WithoutQuery().WithSummary("Make an admin token; its secret is in this answer only");
        tokens.MapGet("/", ListAsync).RequireScope("tokens:read").WithSummary("List admin tokens, newest first");
        tokens.MapGet("/{id}", ReadAsync).RequireScope("tokens:read").WithoutQuery().WithSummary("Read an admin token");
        tokens.MapDelete("/{id}", DeleteAsync).RequireScope("tokens:write").WithoutQuery().WithSummary("Delete an admin token; it stops working at once");
    }

    private static async Task<IResult> CreateAsync(HttpContext httpContext, AdminTokenStore store, TenantDirectory tenants, TimeProvider clock)
    {
        var (request, error) = await AdminJson.ReadAsync<TokenRequest>(httpContext);
        if (error is not null)
        {
            return error;
        }

        if (await MakerAsync(httpContext, store) is not { } maker)
        {
            return Gone();
        }

        var tenantExists = request!.TenantId is { } tenant && await tenants.NameAsync(tenant, httpContext.RequestAborted) is not null;
        var (token, refusal) = request.ToToken(maker, clock.GetUtcNow(), tenantExists);
        if (refusal is not null)
        {
            return refusal;
        }

        var secret = AdminToken.MakeSecret();
        var created = AuditEvent.By(httpContext.Admin(), clock, httpContext, AuditTypes.AdminTokenCreated, token!.TenantId, Facts(token));
        await store.InsertAsync(token, AdminToken.Hash(secret), created, httpContext.RequestAborted);
        httpContext.SetETag(ETags.Of(token.CreatedAt));
        httpContext.Response.Headers.Location = $"{Path}/{token.Id}";
        return Results.Json(Answer.Of(token, secret), AdminJson.Options, statusCode: StatusCodes.Status201Created);
    }

    private static async Task<IResult> ListAsync(HttpContext httpContext, AdminTokenStore store, TokenUses uses, CursorCodec cursors)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var limit = query.Limit();
        var tenant = httpContext.Admin().TenantId;
        var scope = $"{Path} {tenant}";
        AdminTokenId? before = query.Cursor(cursors, scope) is { } position ? new(Guid.ParseExact(position, "D")) : null;
        if (query.Error() is { } error)
        {
            return error;
        }

        await uses.WriteAsync(httpContext.RequestAborted);
        var tokens = await store.ListAsync(tenant, before, limit + 1, httpContext.RequestAborted);
        var items = tokens.Take(limit).Select(token => Answer.Of(token)).ToList();
        return Results.Json(
            new Page<Answer>(items, tokens.Count > limit ? cursors.Encode(scope, items[^1].Id.ToString()) : null), AdminJson.Options);
    }

    private static async Task<IResult> ReadAsync(string id, HttpContext httpContext, AdminTokenStore store, TokenUses uses)
    {
        await uses.WriteAsync(httpContext.RequestAborted);
        var token = ParseId(id) is { } tokenId ? await store.FindAsync(tokenId, httpContext.RequestAborted) : null;
        if (token is null || !httpContext.Admin().MaySee(token.TenantId))
        {
            return ApiError.NotFound("admin token");
        }

        httpContext.SetETag(ETags.Of(token.CreatedAt));
        return Results.Json(Answer.Of(token), AdminJson.Options);
    }

    private static async Task<IResult> DeleteAsync(string id, HttpContext httpContext, AdminTokenStore store, TimeProvider clock)
    {
        var (match, error) = IfMatch.Read(httpContext);
        if (error is not null)
        {
            return error;
        }

        var admin = httpContext.Admin();
        var refusal = ParseId(id) is { } tokenId
            ? await store.DeleteAsync(
                tokenId,
                (token, owners) => RefuseDelete(admin, match!, token, owners.Count(o => o.Id != tokenId && o.IsOwner(clock.GetUtcNow())), clock.GetUtcNow()),
                token => AuditEvent.By(admin, clock, httpContext, AuditTypes.AdminTokenDeleted, token.TenantId, Facts(token)),
                httpContext.RequestAborted)
            : ApiError.NotFound("admin token");
        return refusal is null ? Results.NoContent() : refusal;
    }

    /// <summary>Order of precedence: unknown, stale, more powerful than the caller, last owner.</summary>
    private static ApiError? RefuseDelete(AdminActor admin, IfMatch match, AdminToken? token, int otherOwners, DateTimeOffset now)
    {
        if (token is null || !admin.MaySee(token.TenantId))
        {
            return ApiError.NotFound("admin token");
        }

        if (match.Refuse(ETags.Of(token.CreatedAt)) is { } stale)
        {
            return stale;
        }

        if (token.Scopes.FirstOrDefault(scope => !admin.Has(scope)) is { } missing)
        {
            return ApiError.MissingScope(missing);
        }

        return token.IsOwner(now) && otherOwners == 0
            ? ApiError.Conflict("This is the last owner token that works; make another owner token first.")
            : null;
    }

    private static Task<AdminToken?> MakerAsync(HttpContext httpContext, AdminTokenStore store) =>
        store.FindAsync(ParseId(httpContext.Admin().Id)!.Value, httpContext.RequestAborted);

    private static ApiError Gone() => ApiError.Unauthorized("invalid_admin_token", "The admin token was deleted while it was used.");

    private static AdminTokenId? ParseId(string text) => Guid.TryParseExact(text, "D", out var id) ? new AdminTokenId(id) : null;

    /// <summary>What the audit trail says of a token: never its secret.</summary>
    private static object Facts(AdminToken token) =>
        new { token.Id, token.Name, role = token.Role?.Name(), scopes = Answer.Sorted(token.Scopes), token.ExpiresAt };

    private sealed record Answer(
        AdminTokenId Id,
        string Name,
        string? Role,
        IReadOnlyList<string> Scopes,
        TenantId? TenantId,
        DateTimeOffset? ExpiresAt,
        DateTimeOffset? LastUsedAt,
        DateTimeOffset CreatedAt)
    {
        public static Answer Of(AdminToken token) => new(
            token.Id, token.Name, token.Role?.Name(), Sorted(token.Scopes), token.TenantId, token.ExpiresAt, token.LastUsedAt, token.CreatedAt);

        public static object Of(AdminToken token, string secret)
        {
            var answer = Of(token);
            return new
            {
                answer.Id,
                answer.Name,
                token = secret,
                answer.Role,
                answer.Scopes,
                answer.TenantId,
                answer.ExpiresAt,
                answer.LastUsedAt,
                answer.CreatedAt,
            };
        }

        public static IReadOnlyList<string> Sorted(IReadOnlySet<string> scopes) => [.. scopes.Order(StringComparer.Ordinal)];
    }
}

using Dvara.Domain;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Storage;
using Microsoft.AspNetCore.Http.Features;

namespace Dvara.Server.ApiKeys;

internal static class ApiKeyEndpoints
{
    public static void MapApiKeys(this IEndpointRouteBuilder app)
    {
        var keys = app.MapGroup("/v1/admin/tenants/{id}/keys").WithTags("API keys").AddEndpointFilter(HideForeignTenantsAsync);
        keys.MapPost("/", CreateAsync).RequireScope("keys:write").WithoutQuery().WithSummary("Make an API key; the key itself is in this answer only");
        keys.MapPost("/import", ImportAsync).RequireScope("keys:write").WithoutQuery().WithSummary("Take over a key made elsewhere, by its SHA-256");
        keys.MapGet("/", ListAsync).RequireScope("keys:read").WithSummary("List a tenant's API keys, newest first");
        keys.MapGet("/{keyId}", ReadAsync).RequireScope("keys:read").WithoutQuery().WithSummary("Read an API key");
        keys.MapPatch("/{keyId}", UpdateAsync).RequireScope("keys:write").WithoutQuery().WithSummary("Change name, scopes, models, tags or expiry of an API key");
        keys.MapDelete("/{keyId}", DeleteAsync).RequireScope("keys:write").WithoutQuery().WithSummary("Revoke an API key and hide it; its name stays for the ledger");
        keys.MapPost("/{keyId}/revoke", RevokeAsync).RequireScope("keys:write").WithoutQuery().WithSummary("Revoke an API key; it stops within a second");
        keys.MapPost("/{keyId}/rotate", RotateAsync).RequireScope("keys:write").WithoutQuery()
            .WithSummary("Replace an API key by a new one; the old one works until the overlap ends");
    }

    private static async Task<IResult> CreateAsync(string id, HttpContext httpContext, ApiKeyStore store, ChangeFeed changes, TimeProvider clock)
    {
        var (request, error) = await AdminJson.ReadAsync<ApiKeyRequest>(httpContext, ApiKeyRequest.Verbatim);
        if (error is not null)
        {
            return error;
        }

        var (attributes, refusal) = request!.ToNew(clock.GetUtcNow());
        if (refusal is not null)
        {
            return refusal;
        }

        var secret = ApiKeyFormat.Make();
        var key = ApiKey.Make(TenantOf(id), attributes!, ApiKeyFormat.Displayed(secret), clock.GetUtcNow());
        return await InsertAsync(new(key, KeyHash.Of(secret)), secret, AuditTypes.ApiKeyCreated, httpContext, store, changes, clock);
    }

    private static async Task<IResult> ImportAsync(string id, HttpContext httpContext, ApiKeyStore store, ChangeFeed changes, TimeProvider clock)
    {
        var (request, error) = await AdminJson.ReadAsync<ApiKeyRequest>(httpContext, ApiKeyRequest.Verbatim);
        if (error is not null)
        {
            return error;
        }

        var (attributes, hash, refusal) = request!.ToImport(clock.GetUtcNow());
        if (refusal is not null)
        {
            return refusal;
        }

        var key = ApiKey.Make(TenantOf(id), attributes!, request.Prefix!, clock.GetUtcNow());
        return await InsertAsync(new(key, hash), null, AuditTypes.ApiKeyImported, httpContext, store, changes, clock);
    }

    private static async Task<IResult> InsertAsync(
        HashedKey key, string? secret, string auditType, HttpContext httpContext, ApiKeyStore store, ChangeFeed changes, TimeProvider clock)
    {
        var auditEvent = Event(httpContext, clock, auditType, key.Key);
        if (await store.InsertAsync(key, auditEvent, httpContext.RequestAborted) is { } refusal)
        {
            return refusal;
        }

        await changes.CatchUpAsync(httpContext.RequestAborted);
        return Created(key.Key, secret, httpContext, clock);
    }

    private static async Task<IResult> ListAsync(
        string id, HttpContext httpContext, ApiKeyStore store, ApiKeyUses uses, CursorCodec cursors, TimeProvider clock)
    {
        var tenant = TenantOf(id);
        var query = new AdminQuery(httpContext.Request.Query);
        var (limit, scope) = (query.Limit(), PathOf(tenant));
        ApiKeyId? before = query.Cursor(cursors, scope) is { } position ? new(Guid.ParseExact(position, "D")) : null;
        if (query.Error() is { } error)
        {
            return error;
        }

        if (!await store.TenantExistsAsync(tenant, httpContext.RequestAborted))
        {
            return ApiError.NotFound("tenant");
        }

        await uses.WriteAsync(httpContext.RequestAborted);
        var keys = await store.ListAsync(tenant, before, limit + 1, httpContext.RequestAborted);
        var now = clock.GetUtcNow();
        var items = keys.Take(limit).Select(key => ApiKeyAnswer.Of(key, now)).ToList();
        return Results.Json(
            new Page<ApiKeyAnswer>(items, keys.Count > limit ? cursors.Encode(scope, items[^1].Id.ToString()) : null), AdminJson.Options);
    }

    private static async Task<IResult> ReadAsync(
        string id, string keyId, HttpContext httpContext, ApiKeyStore store, ApiKeyUses uses, TimeProvider clock)
    {
        await uses.WriteAsync(httpContext.RequestAborted);
        var key = ParseKey(keyId) is { } known ? await store.FindAsync(TenantOf(id), known, httpContext.RequestAborted) : null;
        return key is null ? ApiError.NotFound("API key") : Read(key, httpContext, clock);
    }

    private static async Task<IResult> UpdateAsync(
        string id, string keyId, HttpContext httpContext, ApiKeyStore store, ApiKeyUses uses, ChangeFeed changes, TimeProvider clock)
    {
        var (patch, error) = await AdminJson.ReadObjectAsync(httpContext, ApiKeyRequest.Verbatim);
        if (error is not null)
        {
            return error;
        }

        await uses.WriteAsync(httpContext.RequestAborted);
        var (change, refusal) = await ChangeAsync(id, keyId, httpContext, store, changes, key =>
        {
            if (key.Status is ApiKeyStatus.Revoked or ApiKeyStatus.Rotated)
            {
                return (null, ApiError.Conflict($"The key is {key.Status.ContractName()}; only a key in use can be changed."));
            }

            var now = clock.GetUtcNow();
            var (attributes, invalid) = ApiKeyRequest.Merge(key, patch!, now);
            if (invalid is not null)
            {
                return (null, invalid);
            }

            var edited = key.Edit(attributes!, now);
            return (new(edited, Event(httpContext, clock, AuditTypes.ApiKeyUpdated, edited)), null);
        });
        return refusal is null ? Read(change!.Key, httpContext, clock) : refusal;
    }

    private static async Task<IResult> RevokeAsync(
        string id, string keyId, HttpContext httpContext, ApiKeyStore store, ApiKeyUses uses, ChangeFeed changes, TimeProvider clock)
    {
        await uses.WriteAsync(httpContext.RequestAborted);
        var (change, refusal) = await ChangeAsync(id, keyId, httpContext, store, changes, key =>
        {
            if (key.Status == ApiKeyStatus.Revoked)
            {
                // A repeat finds done what it asks for.
                return (new(key, null), null);
            }

            var revoked = key.Revoke(clock.GetUtcNow());
            return (new(revoked, Event(httpContext, clock, AuditTypes.ApiKeyRevoked, revoked)), null);
        });
        return refusal is null ? Read(change!.Key, httpContext, clock) : refusal;
    }

    private static async Task<IResult> DeleteAsync(
        string id, string keyId, HttpContext httpContext, ApiKeyStore store, ChangeFeed changes, TimeProvider clock)
    {
        var (_, refusal) = await ChangeAsync(id, keyId, httpContext, store, changes, key =>
        {
            var hidden = key.Revoke(clock.GetUtcNow()) with { Hidden = true };
            return (new(hidden, Event(httpContext, clock, AuditTypes.ApiKeyRevoked, hidden)), null);
        });
        return refusal is null ? Results.NoContent() : refusal;
    }

    private static async Task<IResult> RotateAsync(
        string id, string keyId, HttpContext httpContext, ApiKeyStore store, ChangeFeed changes, TimeProvider clock)
    {
        var (overlap, error) = await ReadOverlapAsync(httpContext);
        if (error is not null)
        {
            return error;
        }

        var secret = ApiKeyFormat.Make();
        var (change, refusal) = await ChangeAsync(id, keyId, httpContext, store, changes, key =>
        {
            var now = clock.GetUtcNow();
            if (key.StatusAt(now) is not ApiKeyStatus.Active and var status)
            {
                return (null, ApiError.Conflict($"The key is {status.ContractName()}; only an ACTIVE one can be rotated."));
            }

            var successor = key.MakeSuccessor(ApiKeyFormat.Displayed(secret), now);
            var old = key.RotateOut(overlap, now);
            var payload = new { key.Id, key.Attributes.Name, successorId = successor.Id, worksUntil = old.Attributes.ExpiresAt };
            var rotated = AuditEvent.By(httpContext.Admin(), clock, httpContext, AuditTypes.ApiKeyRotated, key.TenantId, payload);
            return (new(old, rotated, new(successor, KeyHash.Of(secret))), null);
        });
        return refusal is null ? Created(change!.Successor!.Key, secret, httpContext, clock) : refusal;
    }

    /// <summary>Order of precedence: unknown, stale, then whatever <paramref name="decide"/> has against it.</summary>
    private static async Task<(ApiKeyChange? Change, ApiError? Error)> ChangeAsync(
        string id, string keyId, HttpContext httpContext, ApiKeyStore store, ChangeFeed changes,
        Func<ApiKey, (ApiKeyChange? Change, ApiError? Error)> decide)
    {
        var (match, error) = IfMatch.Read(httpContext);
        if (error is not null)
        {
            return (null, error);
        }

        if (ParseKey(keyId) is not { } known)
        {
            return (null, ApiError.NotFound("API key"));
        }

        var (change, refusal) = await store.ChangeAsync(
            TenantOf(id), known, key => match!.Refuse(ETags.Of(key.UpdatedAt)) is { } stale ? (null, stale) : decide(key), httpContext.RequestAborted);
        if (refusal is null)
        {
            await changes.CatchUpAsync(httpContext.RequestAborted);
        }

        return (change, refusal);
    }

    /// <summary>The body may be left out: <c>curl -X POST …/rotate</c> sends none.</summary>
    private static async Task<(TimeSpan Overlap, ApiError? Error)> ReadOverlapAsync(HttpContext httpContext)
    {
        if (httpContext.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false })
        {
            return new RotationRequest().ToOverlap();
        }

        var (request, error) = await AdminJson.ReadAsync<RotationRequest>(httpContext);
        return error is null ? request!.ToOverlap() : (default, error);
    }

    private static IResult Read(ApiKey key, HttpContext httpContext, TimeProvider clock)
    {
        httpContext.SetETag(ETags.Of(key.UpdatedAt));
        return Results.Json(ApiKeyAnswer.Of(key, clock.GetUtcNow()), AdminJson.Options);
    }

    private static IResult Created(ApiKey key, string? secret, HttpContext httpContext, TimeProvider clock)
    {
        var answer = ApiKeyAnswer.Of(key, clock.GetUtcNow());
        httpContext.SetETag(ETags.Of(key.UpdatedAt));
        httpContext.Response.Headers.Location = $"{PathOf(key.TenantId)}/{key.Id}";
        if (secret is null)
        {
            return Results.Json(answer, AdminJson.Options, statusCode: StatusCodes.Status201Created);
        }

        httpContext.Response.Headers.CacheControl = "no-store";
        return Results.Json(answer.With(secret), AdminJson.Options, statusCode: StatusCodes.Status201Created);
    }

    /// <summary>What the audit trail says of a key: never the key itself.</summary>
    private static AuditEvent Event(HttpContext httpContext, TimeProvider clock, string type, ApiKey key)
    {
        var (name, scopes, models, tags, expiresAt) = key.Attributes;
        return AuditEvent.By(
            httpContext.Admin(), clock, httpContext, type, key.TenantId, new { key.Id, name, key.Prefix, scopes, models, tags, expiresAt, key.Hidden });
    }

    /// <summary>A tenant that the caller may not see is as unknown as one that does not exist, whatever is wrong with the call besides.</summary>
    private static async ValueTask<object?> HideForeignTenantsAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var text = (string?)context.HttpContext.GetRouteValue("id");
        return Guid.TryParseExact(text, "D", out var id) && context.HttpContext.Admin().MaySee(new TenantId(id))
            ? await next(context)
            : ApiError.NotFound("tenant");
    }

    private static TenantId TenantOf(string id) => new(Guid.ParseExact(id, "D"));

    private static ApiKeyId? ParseKey(string text) => Guid.TryParseExact(text, "D", out var id) ? new ApiKeyId(id) : null;

    private static string PathOf(TenantId tenant) => $"/v1/admin/tenants/{tenant}/keys";
}

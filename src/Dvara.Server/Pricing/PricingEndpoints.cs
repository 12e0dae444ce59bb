using Dvara.Domain;
using Dvara.Domain.Pricing;
using Dvara.Server.Audit;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Tenants;
using Microsoft.AspNetCore.Mvc;

namespace Dvara.Server.Pricing;

internal static class PricingEndpoints
{
    private const string Path = "/v1/admin/pricing";

    public static void MapPricing(this IEndpointRouteBuilder app)
    {
        var prices = app.MapGroup(Path).WithTags("Pricing");
        prices.MapPost("/", CreateAsync).RequireScope("pricing:write").WithoutQuery().WithSummary("Set a price: the first at once, a change with notice");
        prices.MapGet("/", ListAsync).RequireScope("pricing:read").WithSummary("List price versions, newest first");
        prices.MapPost("/import", ImportAsync).RequireScope("pricing:write").WithSummary("Import prices, all or nothing")
            .WithMetadata(new RequestSizeLimitAttribute(PriceCsv.BytesMax));
        prices.MapGet("/{id}", ReadAsync).RequireScope("pricing:read").WithoutQuery().WithSummary("Read a price version");
        prices.MapPut("/{id}", ReplaceAsync).RequireScope("pricing:write").WithoutQuery().WithSummary("Close this version of a price and open the next");
        prices.MapDelete("/{id}", DeleteAsync).RequireScope("pricing:write").WithoutQuery().WithSummary("End a price");
    }

    private static async Task<IResult> CreateAsync(HttpContext httpContext, PriceChanges changes, TenantDirectory tenants, TimeProvider clock)
    {
        var (body, error) = await AdminJson.ReadObjectAsync(httpContext);
        if (error is not null)
        {
            return error;
        }

        var fields = PriceFields.Of(body!);
        if (fields.ToDraft() is not { } asked)
        {
            return ApiError.Validation(fields.Errors);
        }

        if (Narrow(asked, httpContext.Admin()) is not { } draft
            || (draft.TenantId is { } tenant && await tenants.NameAsync(tenant, httpContext.RequestAborted) is null))
        {
            return ApiError.NotFound("tenant");
        }

        var (version, refusal) = await changes.OpenAsync(draft, Note(httpContext, clock), httpContext.RequestAborted);
        return refusal is not null ? refusal : Show(httpContext, version!, StatusCodes.Status201Created);
    }

    private static async Task<IResult> ListAsync(HttpContext httpContext, PriceStore store, CursorCodec cursors)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var filter = PriceFilter.Read(query, httpContext.Admin());
        var limit = query.Limit();
        var scope = filter.CursorScope();
        var position = query.Cursor(cursors, scope);
        if (query.Error() is { } error)
        {
            return error;
        }

        if (!SeesTenant(httpContext, filter.TenantId))
        {
            return ApiError.NotFound("tenant");
        }

        var before = position is null ? (PricePosition?)null : PricePosition.Parse(position);
        // One more than asked for tells whether there is another page.
        var versions = await store.ListAsync(filter, before, limit + 1, httpContext.RequestAborted);
        var items = versions.Take(limit).Select(PriceAnswer.Of).ToList();
        var next = versions.Count > limit ? new PricePosition(versions[limit - 1].CreatedAt, versions[limit - 1].Price.Id).ToString() : null;
        return Json(new Page<PriceAnswer>(items, next is null ? null : cursors.Encode(scope, next)));
    }

    private static async Task<IResult> ImportAsync(HttpContext httpContext, PriceChanges changes, TenantDirectory tenants, TimeProvider clock)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var dryRun = query.Text("dryRun");
        if (dryRun is not (null or "true" or "false"))
        {
            query.Fail("dryRun", "dryRun must be true or false.");
        }

        if (query.Error() is { } error)
        {
            return error;
        }

        if (!(httpContext.Request.GetTypedHeaders().ContentType?.MediaType.Equals("text/csv", StringComparison.OrdinalIgnoreCase) ?? false))
        {
            return new ApiError(StatusCodes.Status415UnsupportedMediaType, "invalid_request_error", "unsupported_media_type",
                "The body must be CSV: send Content-Type: text/csv.");
        }

        using var body = new MemoryStream();
        await httpContext.Request.Body.CopyToAsync(body, httpContext.RequestAborted);
        var (rows, errors) = PriceCsv.Read(body.ToArray());
        rows = await KnownTenantsAsync(httpContext, tenants, rows, errors);
        if (errors.Count > 0)
        {
            return PriceImport.Refuse(errors);
        }

        var (prices, refusal) = await changes.ImportAsync(rows, dryRun == "true", Note(httpContext, clock), httpContext.RequestAborted);
        return refusal is not null ? refusal : Json(PriceImport.Of(dryRun == "true", prices!));
    }

    /// <summary>The rows as narrow as the caller; those of a tenant that it does not know become errors.</summary>
    private static async Task<List<PriceRow>> KnownTenantsAsync(
        HttpContext httpContext, TenantDirectory tenants, List<PriceRow> rows, List<FieldError> errors)
    {
        var known = new List<PriceRow>(rows.Count);
        var exists = new Dictionary<TenantId, bool>();
        foreach (var row in rows)
        {
            var draft = Narrow(row.Draft, httpContext.Admin());
            if (draft?.TenantId is { } tenant && !exists.ContainsKey(tenant))
            {
                exists[tenant] = await tenants.NameAsync(tenant, httpContext.RequestAborted) is not null;
            }

            if (draft is null || (draft.TenantId is { } own && !exists[own]))
            {
                errors.Add(PriceImport.InRow(row.Number, new("tenantId", "No such tenant.")));
            }
            else
            {
                known.Add(row with { Draft = draft });
            }
        }

        return known;
    }

    private static async Task<IResult> ReadAsync(string id, HttpContext httpContext, PriceStore store)
    {
        var version = await FindAsync(id, httpContext, store);
        return version is null ? PriceRefusals.NotFound() : Show(httpContext, version, StatusCodes.Status200OK);
    }

    private static async Task<IResult> ReplaceAsync(string id, HttpContext httpContext, PriceStore store, PriceChanges changes, TimeProvider clock)
    {
        var (version, match, refusal) = await ForWriteAsync(id, httpContext, store);
        if (refusal is not null)
        {
            return refusal;
        }

        var (body, error) = await AdminJson.ReadObjectAsync(httpContext);
        if (error is not null)
        {
            return error;
        }

        var fields = PriceFields.Of(body!);
        fields.Fix("provider", version!.Price.Provider);
        fields.Fix("model", version.Price.Model);
        fields.Fix("tenantId", version.Price.TenantId?.ToString());
        if (fields.ToDraft() is not { } draft)
        {
            return ApiError.Validation(fields.Errors);
        }

        var (next, conflict) = await changes.ReplaceAsync(version.Price.Id, draft, match!, Note(httpContext, clock), httpContext.RequestAborted);
        return conflict is not null ? conflict : Show(httpContext, next!, StatusCodes.Status200OK);
    }

    private static async Task<IResult> DeleteAsync(string id, HttpContext httpContext, PriceStore store, PriceChanges changes, TimeProvider clock)
    {
        var (version, match, refusal) = await ForWriteAsync(id, httpContext, store);
        refusal ??= await changes.CloseAsync(version!.Price.Id, match!, Note(httpContext, clock), httpContext.RequestAborted);
        return refusal is not null ? refusal : Results.NoContent();
    }

    /// <summary>Order of precedence: malformed condition, unknown, shipped, everybody's, stale (inside the transaction).</summary>
    private static async Task<(PriceVersion? Version, IfMatch? Match, ApiError? Error)> ForWriteAsync(
        string id, HttpContext httpContext, PriceStore store)
    {
        var (match, error) = IfMatch.Read(httpContext);
        if (error is not null)
        {
            return (null, null, error);
        }

        if (await FindAsync(id, httpContext, store) is not { } version)
        {
            return (null, null, PriceRefusals.NotFound());
        }

        if (version.Price.Source == PriceSource.Builtin)
        {
            return (null, null, PriceRefusals.Builtin());
        }

        return httpContext.Admin().MaySee(version.Price.TenantId) ? (version, match, null) : (null, null, PriceRefusals.Everybodys());
    }

    /// <summary>What the caller sees: prices of everybody and its own.</summary>
    private static async Task<PriceVersion?> FindAsync(string id, HttpContext httpContext, PriceStore store)
    {
        var version = Guid.TryParseExact(id, "D", out var guid) ? await store.FindAsync(new PriceId(guid), httpContext.RequestAborted) : null;
        return version is not null && (version.Price.TenantId is null || httpContext.Admin().MaySee(version.Price.TenantId)) ? version : null;
    }

    /// <summary>As narrow as the caller; null for a foreign tenant, which is as unknown as one that does not exist.</summary>
    private static PriceDraft? Narrow(PriceDraft draft, AdminActor admin)
    {
        if (admin.TenantId is null)
        {
            return draft;
        }

        return draft.TenantId is null || draft.TenantId == admin.TenantId ? draft with { TenantId = admin.TenantId } : null;
    }

    private static bool SeesTenant(HttpContext httpContext, TenantId? tenant) => tenant is null || httpContext.Admin().MaySee(tenant);

    private static Func<TenantId?, object, AuditEvent> Note(HttpContext httpContext, TimeProvider clock) =>
        (tenant, facts) => AuditEvent.By(httpContext.Admin(), clock, httpContext, AuditTypes.PricingUpdated, tenant, facts);

    private static IResult Show(HttpContext httpContext, PriceVersion version, int status)
    {
        var answer = PriceAnswer.Of(version);
        httpContext.SetETag(answer.ETag());
        if (status == StatusCodes.Status201Created)
        {
            httpContext.Response.Headers.Location = $"{Path}/{answer.Id}";
        }
        else if (HttpMethods.IsPut(httpContext.Request.Method))
        {
            // The next version is a resource of its own.
            httpContext.Response.Headers.ContentLocation = $"{Path}/{answer.Id}";
        }

        return Results.Json(answer, AdminJson.Options, statusCode: status);
    }

    private static IResult Json(object answer) => Results.Json(answer, AdminJson.Options);
}

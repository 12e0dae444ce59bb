using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Server.Audit;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Metering;
using Dvara.Server.Storage;

namespace Dvara.Server.Budgets;

internal static class BudgetEndpoints
{
    private const string Path = "/v1/admin/budgets";

    /// <summary>Figures wait so long for what this silo's journal already holds; a ledger that is away makes them late.</summary>
    private static readonly TimeSpan CatchUpMax = TimeSpan.FromSeconds(2);

    public static void MapBudgets(this IEndpointRouteBuilder app)
    {
        var budgets = app.MapGroup(Path).WithTags("Budgets");
        budgets.MapPost("/", CreateAsync).RequireScope("budgets:write").WithoutQuery().WithSummary("Make a budget; it counts what its period has spent already");
        budgets.MapGet("/", ListAsync).RequireScope("budgets:read").WithSummary("List budgets, newest first");
        budgets.MapGet("/{id}", ReadAsync).RequireScope("budgets:read").WithoutQuery().WithSummary("Read a budget");
        budgets.MapPut("/{id}", ReplaceAsync).RequireScope("budgets:write").WithoutQuery().WithSummary("Replace a budget, all but scope, period and zone");
        budgets.MapPatch("/{id}", PatchAsync).RequireScope("budgets:write").WithoutQuery().WithSummary("Change a budget: a merge patch");
        budgets.MapDelete("/{id}", DeleteAsync).RequireScope("budgets:write").WithoutQuery().WithSummary("Delete a budget");
        budgets.MapGet("/{id}/usage", ReadUsageAsync).RequireScope("budgets:read").WithoutQuery().WithSummary("What the current period has used");
    }

    private static async Task<IResult> CreateAsync(
        HttpContext httpContext, CapWrites caps, LedgerWriter ledger, ChangeFeed changes, TimeProvider clock)
    {
        var (body, error) = await AdminJson.ReadObjectAsync(httpContext);
        if (error is not null)
        {
            return error;
        }

        var admin = httpContext.Admin();
        var (asked, invalid) = BudgetRequest.Of(body!).ToNew(admin, clock.GetUtcNow());
        if (invalid is not null)
        {
            return invalid;
        }

        // What this silo has answered is in the baseline. What ships later is counted when it does.
        if (!await ledger.TryFlushAsync())
        {
            httpContext.Response.Headers.RetryAfter = "5";
            return BudgetRefusals.LedgerBehind();
        }

        var (cap, refusal) = await caps.CreateAsync(
            asked!, made => Event(httpContext, clock, AuditTypes.BudgetCreated, made, BudgetAudit.Facts(made)), httpContext.RequestAborted);
        if (refusal is not null)
        {
            return refusal;
        }

        await changes.CatchUpAsync(httpContext.RequestAborted);
        httpContext.Response.Headers.Location = $"{Path}/{cap!.Id}";
        return Answered(httpContext, cap, StatusCodes.Status201Created);
    }

    private static async Task<IResult> ListAsync(HttpContext httpContext, Database database, CursorCodec cursors)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var limit = query.Limit();
        var filter = BudgetFilter.Read(query, httpContext.Admin());
        var scope = filter.CursorScope(Path);
        var before = query.Cursor(cursors, scope) is { } position ? ParseId(position) : null;
        if (query.Error() is { } error)
        {
            return error;
        }

        // One more than asked for tells whether there is another page.
        var caps = await database.ReadAsync(c => CapStore.ListAsync(c, filter, before, limit + 1), httpContext.RequestAborted);
        var items = caps.Take(limit).Select(BudgetAnswer.Of).ToList();
        return Results.Json(
            new Page<BudgetAnswer>(items, caps.Count > limit ? cursors.Encode(scope, items[^1].Id.ToString()) : null), AdminJson.Options);
    }

    private static async Task<IResult> ReadAsync(string id, HttpContext httpContext, Database database)
    {
        var cap = ParseId(id) is { } capId ? await database.ReadAsync(c => CapStore.FindAsync(c, capId), httpContext.RequestAborted) : null;
        return IsVisible(cap, httpContext) ? Answered(httpContext, cap!) : BudgetRefusals.NotFound();
    }

    private static async Task<IResult> ReplaceAsync(string id, HttpContext httpContext, CapWrites caps, ChangeFeed changes, TimeProvider clock)
    {
        var (body, error) = await AdminJson.ReadObjectAsync(httpContext);
        return error ?? await ChangeAsync(id, httpContext, caps, changes, clock, cap => BudgetRequest.Of(body!).ToNext(cap, clock.GetUtcNow()));
    }

    private static async Task<IResult> PatchAsync(string id, HttpContext httpContext, CapWrites caps, ChangeFeed changes, TimeProvider clock)
    {
        var (patch, error) = await AdminJson.ReadObjectAsync(httpContext);
        return error ?? await ChangeAsync(id, httpContext, caps, changes, clock, cap => BudgetRequest.Merge(cap, patch!).ToNext(cap, clock.GetUtcNow()));
    }

    private static async Task<IResult> ChangeAsync(
        string id, HttpContext httpContext, CapWrites caps, ChangeFeed changes, TimeProvider clock, Func<Cap, (Cap? Next, ApiError? Error)> decide)
    {
        var (match, error) = IfMatch.Read(httpContext);
        if (error is not null)
        {
            return error;
        }

        if (ParseId(id) is not { } capId)
        {
            return BudgetRefusals.NotFound();
        }

        var (cap, refusal) = await caps.ChangeAsync(
            capId,
            before => Refuse(before, match!, httpContext) is { } refused ? (null, refused) : decide(before!),
            (before, next) => Event(httpContext, clock, AuditTypes.BudgetUpdated, next, BudgetAudit.Facts(before, next)),
            httpContext.RequestAborted);
        if (refusal is not null)
        {
            return refusal;
        }

        await changes.CatchUpAsync(httpContext.RequestAborted);
        return Answered(httpContext, cap!);
    }

    private static async Task<IResult> DeleteAsync(string id, HttpContext httpContext, CapWrites caps, ChangeFeed changes, TimeProvider clock)
    {
        var (match, error) = IfMatch.Read(httpContext);
        if (error is not null)
        {
            return error;
        }

        if (ParseId(id) is not { } capId)
        {
            return BudgetRefusals.NotFound();
        }

        var refusal = await caps.DeleteAsync(
            capId,
            cap => Refuse(cap, match!, httpContext),
            cap => Event(httpContext, clock, AuditTypes.BudgetDeleted, cap, BudgetAudit.Facts(cap)),
            httpContext.RequestAborted);
        if (refusal is not null)
        {
            return refusal;
        }

        await changes.CatchUpAsync(httpContext.RequestAborted);
        return Results.NoContent();
    }

    private static async Task<IResult> ReadUsageAsync(string id, HttpContext httpContext, Database database, LedgerWriter ledger, TimeProvider clock)
    {
        if (ParseId(id) is not { } capId)
        {
            return BudgetRefusals.NotFound();
        }

        await ledger.TryFlushAsync(CatchUpMax, httpContext.RequestAborted);
        return await database.ReadAsync<IResult>(
            async connection =>
            {
                await using var snapshot = await connection.BeginSnapshotAsync(httpContext.RequestAborted);
                var cap = await CapStore.FindAsync(connection, capId, snapshot);
                if (!IsVisible(cap, httpContext))
                {
                    return BudgetRefusals.NotFound();
                }

                var period = cap!.PeriodAt(clock.GetUtcNow());
                var use = await CapUsage.ReadAsync(snapshot, cap, period.From);
                return Results.Json(UsageAnswer.Of(cap, use, period), AdminJson.Options);
            },
            httpContext.RequestAborted);
    }

    /// <summary>Order of precedence: unknown or foreign, the platform's, stale.</summary>
    private static ApiError? Refuse(Cap? cap, IfMatch match, HttpContext httpContext) =>
        !IsVisible(cap, httpContext) ? BudgetRefusals.NotFound()
        : cap!.Provenance == CapProvenance.Platform && httpContext.Admin().TenantId is not null ? BudgetRefusals.Platforms()
        : match.Refuse(ETags.Of(cap.UpdatedAt));

    /// <summary>A narrowed caller sees its tenant's budgets, the platform's for it too, and not those of no tenant: they tell of others.</summary>
    private static bool IsVisible(Cap? cap, HttpContext httpContext) => cap is not null && httpContext.Admin().MaySee(cap.TenantId);

    private static AuditEvent Event(HttpContext httpContext, TimeProvider clock, string type, Cap cap, object facts) =>
        AuditEvent.By(httpContext.Admin(), clock, httpContext, type, cap.TenantId, facts);

    private static IResult Answered(HttpContext httpContext, Cap cap, int status = StatusCodes.Status200OK)
    {
        httpContext.SetETag(ETags.Of(cap.UpdatedAt));
        return Results.Json(BudgetAnswer.Of(cap), AdminJson.Options, statusCode: status);
    }

    private static CapId? ParseId(string text) => Guid.TryParseExact(text, "D", out var id) ? new CapId(id) : null;
}

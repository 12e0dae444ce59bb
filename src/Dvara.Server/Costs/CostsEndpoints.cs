using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Costs;

internal static class CostsEndpoints
{
    public static void MapCosts(this IEndpointRouteBuilder app)
    {
        var costs = app.MapGroup("/v1/admin/costs").WithTags("Costs");
        costs.MapGet("/", ListAsync).RequireScope("costs:read");
        costs.MapGet("/summary", SumAsync).RequireScope("costs:read");
        costs.MapGet("/summary/by-tag", SumByTagAsync).RequireScope("costs:read");
        costs.MapGet("/{id}", FindAsync).RequireScope("costs:read").WithoutQuery();
        costs.MapResolve();
        app.MapUnpriced();
    }

    private static async Task<IResult> ListAsync(HttpContext httpContext, CostsStore store, LedgerCatchUp ledger, CursorCodec cursors)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var filter = CostFilter.Read(query, httpContext.Admin(), windowRequired: false);
        var requestId = query.Id("requestId", value => new RequestId(value));
        var state = query.Choice<ChargeState>("state");
        var limit = query.Limit();
        var scope = CostCursor.ScopeOf(filter, requestId, state);
        var before = CostCursor.Read(query, cursors, scope);
        if (Refusal(httpContext, query, filter) is { } refusal)
        {
            return refusal;
        }

        await ledger.CatchUpAsync(httpContext.RequestAborted);
        // One more than asked for tells whether there is another page.
        var lines = await store.ListAsync(filter, requestId, state, before, limit + 1, httpContext.RequestAborted);
        var items = lines.Take(limit).ToList();
        var next = lines.Count > limit ? CostCursor.Write(cursors, scope, items[^1].Id) : null;
        return Json(new CostPage(items, next, filter.Window.From, filter.Window.To));
    }

    private static async Task<IResult> FindAsync(HttpContext httpContext, string id, CostsStore store, LedgerCatchUp ledger)
    {
        if (!Guid.TryParseExact(id, "D", out var attemptId))
        {
            return ApiError.NotFound("charge");
        }

        await ledger.CatchUpAsync(httpContext.RequestAborted);
        var rows = await store.FindAsync(new AttemptId(attemptId), httpContext.RequestAborted);
        return rows.Count > 0 && httpContext.Admin().MaySee(rows[0].TenantId) ? Json(CostLine.Of(rows)) : ApiError.NotFound("charge");
    }

    private static async Task<IResult> SumAsync(HttpContext httpContext, SummaryStore store, LedgerCatchUp ledger)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var summary = SummaryQuery.Read(query, httpContext.Admin());
        var (tally, refusal) = await TallyAsync(httpContext, query, summary, store, ledger);
        return refusal ?? Json(CostAnswers.Summary(summary, tally));
    }

    private static async Task<IResult> SumByTagAsync(HttpContext httpContext, SummaryStore store, LedgerCatchUp ledger)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var summary = SummaryQuery.ReadByTag(query, httpContext.Admin());
        var (tally, refusal) = await TallyAsync(httpContext, query, summary, store, ledger);
        return refusal ?? Json(CostAnswers.ByTag(query.Text("key")!, summary, tally));
    }

    private static async Task<(CostTally Tally, ApiError? Refusal)> TallyAsync(
        HttpContext httpContext, AdminQuery query, SummaryQuery summary, SummaryStore store, LedgerCatchUp ledger)
    {
        var tally = new CostTally(summary.Dimensions);
        if (Refusal(httpContext, query, summary.Filter) is { } refusal)
        {
            return (tally, refusal);
        }

        await ledger.CatchUpAsync(httpContext.RequestAborted);
        await store.ReadAsync(summary, tally, httpContext.RequestAborted);
        return (tally, tally.IsOverfull ? TooManyGroups() : null);
    }

    /// <summary>Bad input, or a tenant that this caller does not see, which is as if there were none.</summary>
    private static ApiError? Refusal(HttpContext httpContext, AdminQuery query, CostFilter filter) =>
        query.Error() ?? (filter.TenantId is { } tenant && !httpContext.Admin().MaySee(tenant) ? ApiError.NotFound("tenant") : null);

    private static ApiError TooManyGroups() => ApiError.Validation(
        "groupBy",
        $"The answer would have more than {CostTally.GroupsMax} groups; group by less, filter (tenantId, apiKeyId, provider, model, tag), or take a shorter window.");

    private static IResult Json<T>(T answer) => Results.Json(answer, AdminJson.Options);
}

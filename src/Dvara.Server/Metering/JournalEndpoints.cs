using Dvara.Domain;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Storage;

namespace Dvara.Server.Metering;

internal static class JournalEndpoints
{
    private const string Path = "/v1/admin/journals";

    /// <summary>A silo that has not been heard of for so long is not there, or cannot reach the ledger.</summary>
    private static readonly TimeSpan UnseenMax = TimeSpan.FromSeconds(60);

    public static void MapMetering(this IEndpointRouteBuilder app) =>
        app.MapGroup(Path).WithTags("Journals").MapGet("/", ListAsync).RequireScope("journals:read").WithSummary("List journals, newest first");

    private static async Task<IResult> ListAsync(HttpContext httpContext, Database database, Journal own, CursorCodec cursors, TimeProvider clock)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var limit = query.Limit();
        JournalId? before = query.Cursor(cursors, Path) is { } position ? new(Guid.ParseExact(position, "D")) : null;
        if (query.Error() is { } error)
        {
            return error;
        }

        // Journals hold the charges of all tenants: who sees one tenant only sees none.
        var rows = httpContext.Admin().TenantId is null
            ? await database.ReadAsync(c => LedgerStore.ListAsync(c, before, limit + 1), httpContext.RequestAborted)
            : [];
        // Whoever has a journal open says so every ten seconds.
        var unseenSince = database.IsCluster ? clock.GetUtcNow() - UnseenMax : DateTimeOffset.MinValue;
        var items = rows.Take(limit).Select(row => Answer.Of(row, own, isMissing: row.State == "OPEN" && row.SeenAt < unseenSince)).ToList();
        var next = rows.Count > limit ? cursors.Encode(Path, items[^1].Id.ToString()) : null;
        return Results.Json(new Page<Answer>(items, next), AdminJson.Options);
    }

    /// <param name="Id">The journal.</param>
    /// <param name="Silo">Who wrote it last.</param>
    /// <param name="State">OPEN, CLOSED (shipped to the end), MISSING (never closed, and not here any more).</param>
    /// <param name="LowWater">Shipped charges up to here are no longer kept in it.</param>
    /// <param name="ShippedThrough">Its charges up to here are in the ledger.</param>
    /// <param name="Pending">
    /// Durable charges that the ledger does not have yet; another silo's as it last said, ten seconds ago at most; null where nobody can say.
    /// </param>
    /// <param name="LeasedUsd">Granted to it by caps.</param>
    /// <param name="Quarantined">Its charges that the ledger refused: they are kept apart and in no report.</param>
    private sealed record Answer(
        JournalId Id, string Silo, string State, long LowWater, long ShippedThrough, long? Pending, Usd LeasedUsd, long Quarantined)
    {
        public static Answer Of(JournalRow row, Journal own, bool isMissing) =>
            new(row.Id, row.Silo, isMissing ? "MISSING" : row.State, row.LowWater, row.ShippedThrough, PendingOf(row, own, isMissing), Usd.Zero, row.Quarantined);

        private static long? PendingOf(JournalRow row, Journal own, bool isMissing) =>
            row.Id == own.Id ? own.Unshipped : isMissing ? null : row.Pending;
    }
}

using System.Data.Common;
using Dvara.Domain;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Storage;

namespace Dvara.Server.Metering;

internal static class JournalEndpoints
{
    private const string Path = "/v1/admin/journals";

    public static void MapMetering(this IEndpointRouteBuilder app) =>
        app.MapGroup(Path).WithTags("Journals").MapGet("/", ListAsync).RequireScope("journals:read").WithSummary("List journals, newest first");

    private static async Task<IResult> ListAsync(
        HttpContext httpContext, Database database, Journal own, IJournalLeases leases, CursorCodec cursors, TimeProvider clock)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var limit = query.Limit();
        JournalId? before = query.Cursor(cursors, Path) is { } position ? new(Guid.ParseExact(position, "D")) : null;
        if (query.Error() is { } error)
        {
            return error;
        }

        // Journals hold the charges of all tenants: who sees one tenant only sees none.
        var (rows, leased) = httpContext.Admin().TenantId is null
            ? await database.ReadAsync(ReadAsync, httpContext.RequestAborted)
            : ([], new Dictionary<JournalId, Usd>());
        var now = clock.GetUtcNow();
        List<Answer> items = [.. rows.Take(limit).Select(
            row => Answer.Of(row, row.StateAt(now, database.IsCluster), own, leased.GetValueOrDefault(row.Id)))];
        var next = rows.Count > limit ? cursors.Encode(Path, items[^1].Id.ToString()) : null;
        return Results.Json(new Page<Answer>(items, next), AdminJson.Options);

        async Task<(IReadOnlyList<JournalRow> Rows, IReadOnlyDictionary<JournalId, Usd> Leased)> ReadAsync(DbConnection connection)
        {
            var page = await LedgerStore.ListAsync(connection, before, limit + 1);
            return (page, await leases.ReadAsync(connection, [.. page.Select(row => row.Id)]));
        }
    }

    /// <param name="Id">The journal.</param>
    /// <param name="Silo">Who wrote it last.</param>
    /// <param name="State">OPEN, CLOSED (shipped to the end), MISSING (never closed, and not here any more).</param>
    /// <param name="LowWater">Shipped charges up to here are no longer kept in it.</param>
    /// <param name="ShippedThrough">Its charges up to here are in the ledger.</param>
    /// <param name="Pending">
    /// Durable charges that the ledger does not have yet; another silo's as it last said, ten seconds ago at most; null where nobody can say.
    /// </param>
    /// <param name="LeasedUsd">Granted to it by caps and not used; until it is given back or written off nobody else can have it.</param>
    /// <param name="Quarantined">Its charges that the ledger refused: they are kept apart and in no report.</param>
    private sealed record Answer(
        JournalId Id, string Silo, string State, long LowWater, long ShippedThrough, long? Pending, Usd LeasedUsd, long Quarantined)
    {
        public static Answer Of(JournalRow row, string state, Journal own, Usd leased) => new(
            row.Id, row.Silo, state, row.LowWater, row.ShippedThrough, PendingOf(row, state, own), leased, row.Quarantined);

        private static long? PendingOf(JournalRow row, string state, Journal own) =>
            row.Id == own.Id ? own.Unshipped : state == "MISSING" ? null : row.Pending;
    }
}

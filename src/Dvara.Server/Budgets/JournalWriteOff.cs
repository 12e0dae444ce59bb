using System.Data.Common;
using Dvara.Domain;
using Dvara.Server.Audit;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Metering;
using Dvara.Server.Storage;

namespace Dvara.Server.Budgets;

/// <summary>
/// Gives what was granted to the journal of a silo that is gone back to its caps. The journal stays what it is: if its volume comes back,
/// its charges are shipped and counted, as overrun where they exceed the limit by then.
/// </summary>
internal static class JournalWriteOff
{
    public static void MapJournalWriteOff(this IEndpointRouteBuilder app) =>
        app.MapPost("/v1/admin/journals/{id}/write-off", WriteOffAsync)
            .RequireScope("journals:write")
            .WithoutQuery()
            .WithTags("Journals")
            .WithSummary("Give what was granted to a missing journal back to its budgets");

    private static async Task<IResult> WriteOffAsync(HttpContext httpContext, string id, Database database, TimeProvider clock)
    {
        // Journals hold the charges of all tenants: for who sees one tenant only there are none.
        if (httpContext.Admin().TenantId is not null || !Guid.TryParseExact(id, "D", out var journal))
        {
            return ApiError.NotFound("journal");
        }

        var (answer, refusal) = await database.WriteAsync(WriteLane.Admin, t => WriteOffAsync(t, new(journal)), httpContext.RequestAborted);
        return refusal is null ? Results.Json(answer, AdminJson.Options) : refusal;

        async Task<(Answer? Answer, ApiError? Refusal)> WriteOffAsync(DbTransaction transaction, JournalId journal)
        {
            await database.LockLedgerAsync(transaction);
            var now = clock.GetUtcNow();
            if (await LedgerStore.FindAsync(transaction, journal) is not { } row)
            {
                return (null, ApiError.NotFound("journal"));
            }

            if (row.StateAt(now, database.IsCluster) is var state && state != "MISSING")
            {
                return (null, Refuse(row, state));
            }

            var returned = await JournalLeaseStore.WriteOffAsync(transaction, journal, now);
            var answer = new Answer(journal, row.Silo, state, returned.Aggregate(Usd.Zero, (sum, lease) => sum + lease.Unused), returned.Count);
            if (returned.Count > 0)
            {
                await AuditTrail.AppendAsync(transaction, EventOf(httpContext, clock, answer, returned));
            }

            return (answer, null);
        }
    }

    private static ApiError Refuse(JournalRow row, string state) => ApiError.Conflict(
        $"Journal {row.Id} is {state}: "
        + (state == "OPEN" ? $"{row.Silo} has it open and uses what was granted to it." : "everything in it is in the ledger.")
        + " Only one that is MISSING can be written off.");

    private static AuditEvent EventOf(HttpContext httpContext, TimeProvider clock, Answer answer, List<JournalLease> returned) => AuditEvent.By(
        httpContext.Admin(),
        clock,
        httpContext,
        AuditTypes.JournalWrittenOff,
        tenant: null,
        new
        {
            journalId = answer.Id,
            answer.Silo,
            answer.ReturnedUsd,
            answer.Leases,
            budgetIds = returned.Select(lease => lease.CapId).Distinct(),
        });

    /// <param name="Id">The journal.</param>
    /// <param name="Silo">Who wrote it last.</param>
    /// <param name="State">MISSING, as before.</param>
    /// <param name="ReturnedUsd">What its caps have got back, over all of them.</param>
    /// <param name="Leases">How many leases gave something back.</param>
    private sealed record Answer(JournalId Id, string Silo, string State, Usd ReturnedUsd, int Leases);
}

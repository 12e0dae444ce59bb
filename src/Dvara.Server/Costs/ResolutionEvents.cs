using System.Data.Common;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Metering;

namespace Dvara.Server.Costs;

/// <summary>
/// Tells the audit trail of resolutions in the transaction of their row, from what travels with the row: so there is an event exactly where
/// there is a revision, also where the process that took the order died before shipping it, and none for a revision that came second.
/// </summary>
internal sealed class ResolutionEvents : ILedgerParticipant
{
    public Task OnInsertedAsync(
        DbTransaction transaction, JournalId journal, IReadOnlyList<InsertedCharge> inserted, CancellationToken cancellationToken)
    {
        List<AuditEvent> events = [];
        foreach (var (charge, _) in inserted)
        {
            if (charge is { Kind: RevisionKind.Resolution, Order: { } order })
            {
                events.Add(EventOf(charge, order));
            }
        }

        return events.Count == 0 ? Task.CompletedTask : AuditTrail.AppendAsync(transaction, events);
    }

    private static AuditEvent EventOf(Charge charge, RevisionOrder order) => AuditEvent.Of(
        order.At,
        AuditTypes.ChargeResolved,
        charge.Intent.TenantId,
        order.Actor,
        order.RequestId.ToString(),
        new
        {
            charge.Intent.AttemptId,
            charge.Revision,
            stateBefore = ChargeState.Unresolved.ContractName(),
            stateAfter = charge.State.ContractName(),
            // What was unresolved cost nothing yet.
            amountUsd = charge.Cost.Total,
            order.Note,
        });
}

using System.Data.Common;
using Dvara.Domain.Metering;

namespace Dvara.Server.Metering;

/// <summary>A slice that has something to write in the very transaction in which charges enter the ledger.</summary>
internal interface ILedgerParticipant
{
    /// <param name="transaction">The ledger writer's own; an exception rolls the whole batch back.</param>
    /// <param name="inserted">The charges that were really new, in journal order.</param>
    /// <param name="cancellationToken">The process stops.</param>
    Task OnInsertedAsync(DbTransaction transaction, IReadOnlyList<Charge> inserted, CancellationToken cancellationToken);
}

using System.Data.Common;
using Dvara.Domain;
using Dvara.Domain.Metering;

namespace Dvara.Server.Metering;

/// <summary>A slice that has something to write in the very transaction in which charges enter the ledger.</summary>
internal interface ILedgerParticipant
{
    /// <param name="transaction">The ledger writer's own; an exception rolls the whole batch back.</param>
    /// <param name="journal">Whose charges they are.</param>
    /// <param name="inserted">The charges that were really new, in journal order.</param>
    /// <param name="cancellationToken">The process stops.</param>
    Task OnInsertedAsync(DbTransaction transaction, JournalId journal, IReadOnlyList<InsertedCharge> inserted, CancellationToken cancellationToken);
}

/// <summary>A charge that has just entered the ledger.</summary>
/// <param name="Charge">As it stands in the row.</param>
/// <param name="Requests">What it adds to the count of requests; -1, 0 or 1.</param>
internal readonly record struct InsertedCharge(Charge Charge, long Requests);

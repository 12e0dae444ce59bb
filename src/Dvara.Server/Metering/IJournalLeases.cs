using System.Data.Common;
using Dvara.Domain;

namespace Dvara.Server.Metering;

/// <summary>What caps have granted to journals: known to the slice that grants, shown with the journals.</summary>
internal interface IJournalLeases
{
    /// <returns>What is granted to each of the journals and not used, in periods that are not over; one without is absent.</returns>
    Task<IReadOnlyDictionary<JournalId, Usd>> ReadAsync(DbConnection connection, IReadOnlyList<JournalId> journals);
}

using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Time;
using Dvara.Server.Metering;
using Dvara.Server.Storage;

namespace Dvara.Server.Budgets;

/// <summary>The caps in force that calls of one key can fall under, with what their present period has used.</summary>
internal sealed class BudgetsOfKey(CapBookState caps, Database database, LedgerWriter ledger, TimeProvider clock)
{
    private static readonly TimeSpan CatchUpMax = TimeSpan.FromSeconds(1);

    /// <param name="tenant">The key's tenant.</param>
    /// <param name="line">The key's line.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public async Task<IReadOnlyList<(Cap Cap, TimeWindow Period, CapUse Use)>> ReadAsync(TenantId tenant, KeyLineId line, CancellationToken cancellationToken)
    {
        var covering = caps.Current.Covering(tenant, line);
        if (covering.Count == 0)
        {
            return [];
        }

        await ledger.TryFlushAsync(CatchUpMax, cancellationToken);
        return await database.ReadAsync(
            async connection =>
            {
                await using var snapshot = await connection.BeginSnapshotAsync(cancellationToken);
                var found = new List<(Cap Cap, TimeWindow Period, CapUse Use)>(covering.Count);
                foreach (var cap in covering)
                {
                    var period = cap.PeriodAt(clock.GetUtcNow());
                    found.Add((cap, period, await CapUsage.ReadAsync(snapshot, cap, period.From)));
                }

                return found;
            },
            cancellationToken);
    }
}

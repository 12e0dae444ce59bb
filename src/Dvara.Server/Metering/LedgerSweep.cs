using System.Data.Common;
using Dvara.Server.Storage;

namespace Dvara.Server.Metering;

/// <summary>Deletes what has been kept for its time: shipped charges in the journal's file, minutes and tag values in the rollups.</summary>
internal sealed partial class LedgerSweep(Journal journal, Database database, JournalOptions options, TimeProvider clock, ILogger logger)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    /// <summary>Readers leave the last hour of it alone, because it is swept while they read.</summary>
    private static readonly TimeSpan MinutesKept = TimeSpan.FromHours(48);

    /// <summary>The guard counts by the day of the intent; a charge that comes later than this may count a value again.</summary>
    private static readonly TimeSpan TagValuesKept = TimeSpan.FromDays(7);

    private DateTimeOffset _swept;

    public async Task RunWhenDueAsync()
    {
        var now = clock.GetUtcNow();
        if (now - _swept < Interval)
        {
            return;
        }

        _swept = now;
        try
        {
            var keptSince = now - options.Retention;
            await journal.PruneAsync(await database.ReadAsync(
                connection => LedgerStore.ReadShippedBeforeAsync(connection, journal.Id, journal.ReadPrunedThrough(), keptSince), CancellationToken.None));
            await database.WriteAsync(WriteLane.Ledger, SweepAsync, CancellationToken.None);
            // Of journals that nobody writes any more; one silo at a time.
            await database.WriteAsync(
                WriteLane.Admin, transaction => RollupStore.PruneClosedAsync(transaction, now - MinutesKept, now - TagValuesKept), CancellationToken.None);
        }
        catch (Exception exception) when (exception is DbException or CommitUnconfirmedException)
        {
            LogNotPruned(logger, exception);
        }

        async Task SweepAsync(DbTransaction transaction)
        {
            await LedgerStore.SetLowWaterAsync(transaction, journal.Id, journal.ReadPrunedThrough());
            await RollupStore.PruneAsync(transaction, journal.Id, now - MinutesKept, now - TagValuesKept);
        }
    }

    [LoggerMessage(7, LogLevel.Warning, "Old entries could not be pruned; it is tried again in a minute.")]
    private static partial void LogNotPruned(ILogger logger, Exception exception);
}

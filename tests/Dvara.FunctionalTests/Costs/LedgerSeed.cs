using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Hosting;
using Dvara.Server.Metering;
using Dvara.Server.Storage;
using Microsoft.Extensions.Time.Testing;

namespace Dvara.FunctionalTests.Costs;

/// <summary>Puts charges into a ledger with the ledger writer's own batches, rollups and all, without a journal file before it.</summary>
internal static class LedgerSeed
{
    private const int BatchSize = 50;

    private static readonly JournalId Journal = new(Guid.Parse("01890000-0000-7000-8000-00000000aaaa"));
    private static long _seq;

    /// <param name="database">The ledger.</param>
    /// <param name="charges">In ledger order: revisions of an attempt after each other.</param>
    /// <param name="now">Minute rollups reach back 48 hours from here.</param>
    /// <param name="tagValuesMax">More values of a tag key on a day than this, and its rollup ends there.</param>
    public static Task AddAsync(Database database, IEnumerable<Charge> charges, DateTimeOffset now, int tagValuesMax = 1000) =>
        database.WriteAsync(
            WriteLane.Ledger,
            async transaction =>
            {
                var (standing, _) = await LedgerStore.RegisterAsync(transaction, Journal, "seed", othersWrite: true, now);
                var batch = new LedgerBatch(
                    Journal, standing.Epoch, new SiloName("seed"), new JournalOptions { TagValuesMax = tagValuesMax }, [], new FakeTimeProvider(now));
                foreach (var chunk in charges.Chunk(BatchSize))
                {
                    await batch.WriteAsync(
                        transaction,
                        [.. chunk.Select(charge => new JournaledCharge(Interlocked.Increment(ref _seq), now, charge))],
                        after: 0,
                        CancellationToken.None);
                }

                await RollupStore.PruneAsync(transaction, Journal, minutesBefore: now.AddHours(-48), daysBefore: now.AddDays(-7));
            },
            CancellationToken.None);
}

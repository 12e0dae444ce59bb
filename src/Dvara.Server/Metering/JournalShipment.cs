using Dvara.Domain.Pricing;
using Dvara.Server.Hosting;
using Dvara.Server.Pricing;
using Dvara.Server.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace Dvara.Server.Metering;

/// <summary>
/// <c>journal ship &lt;folder&gt;</c>: brings the journal of a silo that is gone into the ledger, from its data folder attached elsewhere.
/// What a start of that silo would have done: attempts without a charge become unresolved, the rest is shipped, the journal is CLOSED.
/// </summary>
internal static class JournalShipment
{
    /// <returns>What was shipped, for an operator.</returns>
    /// <param name="pools">The cluster's database.</param>
    /// <param name="folder">The silo's data folder.</param>
    /// <param name="adopt">True: also a journal that the ledger has never heard of, as one that was restored from before the silo's start.</param>
    /// <param name="options">Bounds, as the silo had them.</param>
    /// <param name="participants">What other slices write along with charges.</param>
    /// <param name="logging">Tells what goes wrong on the way.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <exception cref="IOException">There is no journal, it is another installation's, or a process has the folder open.</exception>
    /// <exception cref="JournalDamagedException">The journal cannot be trusted; nothing was changed.</exception>
    public static async Task<string> RunAsync(
        PostgresPools pools, string folder, bool adopt, JournalOptions options, IEnumerable<ILedgerParticipant> participants, ILoggerFactory logging, CancellationToken cancellationToken)
    {
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"There is no folder {folder}.");
        }

        using var directory = DataDirectory.Open(folder);
        if (!File.Exists(directory.JournalFile))
        {
            throw new FileNotFoundException($"There is no journal in {directory.Path}: {Path.GetFileName(directory.JournalFile)} is missing.");
        }

        await using var database = new PostgresDatabase(pools);
        var prices = new PriceBookState();
        prices.Replace(new PriceBook(await new PriceStore(database).AllAsync(cancellationToken)));
        var clock = new DatabaseClock();
        using (var anchor = new DatabaseClockAnchor(database, clock, NullLogger<DatabaseClockAnchor>.Instance))
        {
            await anchor.AnchorAsync(cancellationToken);
        }

        var failure = new ProcessFailure(logging.CreateLogger<ProcessFailure>());
        using var journal = Journal.Open(directory.JournalFile, options, clock, failure.End, logging.CreateLogger<Journal>());
        if (!adopt && await database.ReadAsync(connection => LedgerStore.IsKnownAsync(connection, journal.Id), cancellationToken) is false)
        {
            throw new IOException(
                $"This ledger has never heard of journal {journal.Id} in {directory.Path}: it is probably another installation's, whose charges have no place here. "
                + "If the ledger was restored to before that silo's first start, say so: journal ship --adopt <data folder>.");
        }

        using var writer = new LedgerWriter(
            journal, database, prices, participants, options, clock, failure, new SiloName($"{Environment.MachineName} (journal ship)"), logging.CreateLogger<LedgerWriter>());
        await writer.StartAsync(cancellationToken);
        if (await writer.TryWatchAsync(cancellationToken))
        {
            await writer.StopAsync(cancellationToken);
        }

        if (!writer.IsClosed)
        {
            throw new IOException($"Journal {journal.Id} is in the ledger up to {journal.LastChargeSeq}, but could not be closed. Put right what is said above, and run the command again.");
        }

        return $"Journal {journal.Id} is in the ledger up to {journal.LastChargeSeq} and closed; {writer.LeftOpen} attempts had no charge and are unresolved.";
    }
}

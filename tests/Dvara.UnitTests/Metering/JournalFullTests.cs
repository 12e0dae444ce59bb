using Dvara.Domain.Metering;
using Dvara.Server.Metering;
using Xunit;

namespace Dvara.UnitTests.Metering;

/// <summary>A file that may not grow stands in for a disk that is full: SQLite reports both the same way.</summary>
public sealed class JournalFullTests : IAsyncLifetime
{
    private readonly MeteringFolder _folder = new();

    public JournalFullTests()
    {
        _folder.Options.FileBytesMax = 512 << 10;
        _folder.Options.ReserveBytes = 256 << 10;
    }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _folder.DisposeAsync();

    [Fact]
    public async Task Full_RefusesNotesAndSettlesWhatIsOpen()
    {
        using var journal = _folder.OpenJournal();
        var open = await FillAsync(journal);

        Assert.NotEmpty(open);
        Assert.False(journal.Admits);
        Assert.False(File.Exists(_folder.JournalPath + ".reserve"));
        await journal.CheckpointAsync(open[0].AttemptId, new() { Output = 1 });
        await Task.WhenAll(open.Select(intent => journal.SettleAsync(SomeAttempts.Settled(intent)))).WaitAsync(MeteringFolder.Patience);

        Assert.Equal(0, journal.OpenAttempts);
        Assert.Equal(open.Count, journal.ReadCharges(0, int.MaxValue).Count);
    }

    [Fact]
    public async Task Full_WhenTheLedgerHasTakenCharges_AdmitsAgainByItself()
    {
        using var journal = _folder.OpenJournal();
        var open = await FillAsync(journal);
        await Task.WhenAll(open.Select(intent => journal.SettleAsync(SomeAttempts.Settled(intent)))).WaitAsync(MeteringFolder.Patience);
        Assert.False(journal.Admits);

        var charges = journal.ReadCharges(0, int.MaxValue);
        journal.OnShipped(charges[^1].Seq, charges.Count);

        Assert.True(SpinWait.SpinUntil(() => journal.Admits, MeteringFolder.Patience));
        Assert.True(File.Exists(_folder.JournalPath + ".reserve"));
        await journal.NoteAsync(SomeAttempts.Intent(), CancellationToken.None);
    }

    [Fact]
    public async Task Full_BeyondTheReserve_ChargesWaitAndNoneIsLost()
    {
        // A small reserve and charges that are larger than their intents.
        _folder.Options.ReserveBytes = 64 << 10;
        using var journal = _folder.OpenJournal();
        var open = await FillAsync(journal);
        var settling = Task.WhenAll(open.Select(intent => journal.SettleAsync(SomeAttempts.Settled(intent) with { ProviderRequestId = new string('r', 8000) })));

        var shipped = new List<JournaledCharge>();
        while (shipped.Count < open.Count)
        {
            using var patience = new CancellationTokenSource(MeteringFolder.Patience);
            await journal.WaitForChargesAsync(patience.Token);
            var batch = journal.ReadCharges(shipped.Count == 0 ? 0 : shipped[^1].Seq, int.MaxValue);
            shipped.AddRange(batch);
            if (batch.Count > 0)
            {
                journal.OnShipped(batch[^1].Seq, batch.Count);
            }
        }

        await settling.WaitAsync(MeteringFolder.Patience);
        Assert.Equal(open.Select(i => i.AttemptId).ToHashSet(), shipped.Select(c => c.Charge.Intent.AttemptId).ToHashSet());
        Assert.Equal(0, journal.Unshipped);
    }

    [Fact]
    public async Task Full_AtTheStop_LeavesTheAttemptsToTheNextProcess()
    {
        var intents = new List<Intent>();
        using (var journal = _folder.OpenJournal())
        {
            intents = await FillAsync(journal);
        }

        _folder.Options.FileBytesMax = 16 << 20;
        using var next = _folder.OpenJournal();
        Assert.Equal(intents.Select(i => i.AttemptId).ToHashSet(), next.Resume(0).Select(o => o.Intent.AttemptId).ToHashSet());
        Assert.True(next.Admits);
    }

    /// <summary>Notes attempts, one after the other, until one is refused.</summary>
    private static async Task<List<Intent>> FillAsync(Journal journal)
    {
        var open = new List<Intent>();
        for (var i = 0; i < 10_000; i++)
        {
            var intent = SomeAttempts.Intent(tags: new Dictionary<string, string> { ["k"] = new string('v', 2000) });
            try
            {
                await journal.NoteAsync(intent, CancellationToken.None);
            }
            catch (JournalUnavailableException)
            {
                return open;
            }

            open.Add(intent);
        }

        throw new InvalidOperationException("The journal took 20 MB and never was full.");
    }
}

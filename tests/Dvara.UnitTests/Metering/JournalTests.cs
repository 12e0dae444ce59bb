using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Metering;
using Xunit;

namespace Dvara.UnitTests.Metering;

public sealed class JournalTests : IAsyncLifetime
{
    private readonly MeteringFolder _folder = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _folder.DisposeAsync();

    [Fact]
    public async Task Notes_InParallel_ShareACommit()
    {
        using var gate = new GateClock();
        using var journal = _folder.OpenJournal(gate);
        gate.Close();
        var first = journal.NoteAsync(SomeAttempts.Intent(), CancellationToken.None);
        await gate.WaitUntilAskedAsync();
        var others = Enumerable.Range(0, 500).Select(_ => journal.NoteAsync(SomeAttempts.Intent(), CancellationToken.None)).ToList();

        Assert.Equal(0, journal.Commits);
        Assert.DoesNotContain(others, note => note.IsCompleted);
        gate.Open();
        await Task.WhenAll(others.Append(first)).WaitAsync(MeteringFolder.Patience);

        Assert.Equal(2, journal.Commits);
        Assert.Equal(501, journal.OpenAttempts);
    }

    [Fact]
    public async Task Settle_Alone_WaitsForOneCommit()
    {
        using var journal = _folder.OpenJournal();
        var intent = SomeAttempts.Intent();
        await journal.NoteAsync(intent, CancellationToken.None);
        var before = journal.Commits;

        await journal.SettleAsync(SomeAttempts.Settled(intent));

        Assert.Equal(before + 1, journal.Commits);
        Assert.Equal(0, journal.OpenAttempts);
        Assert.Equal(1, journal.Unshipped);
    }

    [Fact]
    public async Task Settle_WhileAGroupIsWritten_IsInTheNextOne()
    {
        using var gate = new GateClock();
        using var journal = _folder.OpenJournal(gate);
        var intent = SomeAttempts.Intent();
        await journal.NoteAsync(intent, CancellationToken.None);
        var before = journal.Commits;
        gate.Close();
        var note = journal.NoteAsync(SomeAttempts.Intent(), CancellationToken.None);
        await gate.WaitUntilAskedAsync();

        var settle = journal.SettleAsync(SomeAttempts.Settled(intent));
        gate.Open();
        await Task.WhenAll(note, settle).WaitAsync(MeteringFolder.Patience);

        Assert.Equal(before + 2, journal.Commits);
    }

    [Fact]
    public async Task Checkpoint_NotWaitedFor_IsThereAfterTheProcess()
    {
        var (ended, open) = (SomeAttempts.Intent(), SomeAttempts.Intent());
        var delivered = new TokenUsage { UncachedInput = 12, Output = 3, Source = UsageSource.Estimated };
        using (var journal = _folder.OpenJournal())
        {
            _ = journal.NoteAsync(open, CancellationToken.None);
            _ = journal.CheckpointAsync(open.AttemptId, delivered with { Output = 1 });
            _ = journal.CheckpointAsync(open.AttemptId, delivered);
            await journal.NoteAsync(ended, CancellationToken.None);
            _ = journal.SettleAsync(SomeAttempts.Settled(ended));
            Assert.True(journal.CheckpointAsync(ended.AttemptId, delivered).IsCompletedSuccessfully);
        }

        using var next = _folder.OpenJournal();
        var left = Assert.Single(next.Resume(0));
        Assert.True(SomeAttempts.Same(open, left.Intent));
        Assert.Equal(delivered, left.Delivered);
    }

    [Fact]
    public async Task Checkpoint_OfAClosedJournal_ChangesNothing()
    {
        var journal = _folder.OpenJournal();
        var intent = SomeAttempts.Intent();
        await journal.NoteAsync(intent, CancellationToken.None);
        journal.Dispose();

        await journal.CheckpointAsync(intent.AttemptId, new TokenUsage { Output = 1 });
        await Assert.ThrowsAsync<JournalUnavailableException>(() => journal.SettleAsync(SomeAttempts.Settled(intent)));
        await Assert.ThrowsAsync<JournalUnavailableException>(() => journal.NoteAsync(SomeAttempts.Intent(), CancellationToken.None));
    }

    [Fact]
    public async Task Note_CancelledBeforeItIsWritten_LeavesNothing()
    {
        using var gate = new GateClock();
        using (var journal = _folder.OpenJournal(gate))
        {
            gate.Close();
            var first = journal.NoteAsync(SomeAttempts.Intent(), CancellationToken.None);
            await gate.WaitUntilAskedAsync();
            using var cancel = new CancellationTokenSource();
            var note = journal.NoteAsync(SomeAttempts.Intent(), cancel.Token);
            await cancel.CancelAsync();
            gate.Open();

            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => note);
            await first;
            Assert.Equal(1, journal.OpenAttempts);
        }

        using var next = _folder.OpenJournal();
        Assert.Single(next.Resume(0));
    }

    [Fact]
    public async Task Attempt_NotedOrSettledTwice_IsRefused()
    {
        using var journal = _folder.OpenJournal();
        var intent = SomeAttempts.Intent();
        await journal.NoteAsync(intent, CancellationToken.None);

        await Assert.ThrowsAsync<InvalidOperationException>(() => journal.NoteAsync(intent, CancellationToken.None));
        await journal.SettleAsync(SomeAttempts.Settled(intent));
        await Assert.ThrowsAsync<InvalidOperationException>(() => journal.SettleAsync(SomeAttempts.Settled(intent)));
        await Assert.ThrowsAsync<InvalidOperationException>(() => journal.SettleAsync(SomeAttempts.Settled(SomeAttempts.Intent())));

        // A correction needs no open attempt.
        await journal.SettleAsync(SomeAttempts.Settled(intent) with { Revision = 1, Kind = RevisionKind.Correction });
        Assert.Equal(2, journal.ReadCharges(0, 10).Count);
    }

    [Fact]
    public async Task Notes_BeyondTheUnshippedBound_AreRefusedUntilTheLedgerHasCaughtUp()
    {
        _folder.Options.UnshippedMax = 2;
        using var journal = _folder.OpenJournal();
        var intents = Enumerable.Range(0, 3).Select(_ => SomeAttempts.Intent()).ToList();
        await Task.WhenAll(intents.Select(intent => journal.NoteAsync(intent, CancellationToken.None)));
        await Task.WhenAll(intents.Select(intent => journal.SettleAsync(SomeAttempts.Settled(intent))));

        Assert.False(journal.Admits);
        await Assert.ThrowsAsync<JournalUnavailableException>(() => journal.NoteAsync(SomeAttempts.Intent(), CancellationToken.None));
        journal.OnShipped(journal.ReadCharges(0, 2)[^1].Seq, 2);
        Assert.True(journal.Admits);
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(3)]
    public async Task Charges_FromMemoryOrFile_AreTheSame(int recentMax)
    {
        _folder.Options.RecentMax = recentMax;
        using var journal = _folder.OpenJournal();
        var charges = new List<Charge>();
        for (var i = 0; i < 20; i++)
        {
            var intent = SomeAttempts.Intent();
            await journal.NoteAsync(intent, CancellationToken.None);
            charges.Add(SomeAttempts.Settled(intent) with { LatencyMs = i });
            await journal.SettleAsync(charges[^1]);
        }

        var read = new List<JournaledCharge>();
        while (journal.ReadCharges(read.Count == 0 ? 0 : read[^1].Seq, 7) is { Count: > 0 } page)
        {
            read.AddRange(page);
        }

        Assert.Equal(charges.Count, read.Count);
        Assert.All(charges.Zip(read), pair => Assert.True(SomeAttempts.Same(pair.First, pair.Second.Charge)));
        Assert.Equal(read[^1].Seq, journal.LastChargeSeq);
    }

    [Fact]
    public async Task Prune_DeletesWhatWasShippedOnly()
    {
        using var journal = _folder.OpenJournal();
        for (var i = 0; i < 3; i++)
        {
            var intent = SomeAttempts.Intent();
            await journal.NoteAsync(intent, CancellationToken.None);
            await journal.SettleAsync(SomeAttempts.Settled(intent));
        }

        var shipped = journal.ReadCharges(0, 2)[^1].Seq;
        journal.OnShipped(shipped, 2);
        await journal.PruneAsync(0);
        Assert.Equal(0, journal.ReadPrunedThrough());

        await journal.PruneAsync(journal.LastChargeSeq);
        Assert.Equal(shipped, journal.ReadPrunedThrough());
        Assert.Single(journal.ReadCharges(shipped, 10));
    }
}

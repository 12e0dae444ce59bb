using System.Collections.Concurrent;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Metering;
using Xunit;

namespace Dvara.UnitTests.Metering;

/// <summary>What a process that died leaves behind, and what the next one makes of it.</summary>
public sealed class RecoveryTests : IAsyncLifetime
{
    private readonly MeteringFolder _folder = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _folder.DisposeAsync();

    [Fact]
    public async Task CopyTakenUnderLoad_HasOneChargeForEveryAttemptThatWasAcknowledged()
    {
        using var dying = _folder.OpenJournal();
        var noted = new ConcurrentDictionary<AttemptId, byte>();
        var settled = new ConcurrentDictionary<AttemptId, byte>();
        using var stop = new CancellationTokenSource();
        var load = Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            for (var i = 0; !stop.IsCancellationRequested; i++)
            {
                var intent = SomeAttempts.Intent();
                await dying.NoteAsync(intent, CancellationToken.None);
                noted[intent.AttemptId] = 0;
                _ = dying.CheckpointAsync(intent.AttemptId, new() { UncachedInput = 10, Output = i });
                if ((i + worker) % 3 != 0)
                {
                    await dying.SettleAsync(SomeAttempts.Settled(intent));
                    settled[intent.AttemptId] = 0;
                }
            }
        })).ToList();

        for (var round = 0; round < 3; round++)
        {
            var enough = settled.Count + 40;
            Assert.True(SpinWait.SpinUntil(() => settled.Count >= enough, MeteringFolder.Patience));
            var (notedBefore, settledBefore) = (noted.Keys.ToHashSet(), settled.Keys.ToHashSet());
            await AssertRecoveredAsync(_folder.CopyJournal(), notedBefore, settledBefore);
        }

        await stop.CancelAsync();
        await Task.WhenAll(load);
    }

    [Fact]
    public async Task OpenAttempt_IsUnresolvedWithWhatWasDeliveredAsLowerBound()
    {
        var (delivered, noted, unknown) = (SomeAttempts.Intent(), SomeAttempts.Intent(input: 40), SomeAttempts.Intent(input: null));
        using (var dying = _folder.OpenJournal())
        {
            foreach (var intent in new[] { delivered, noted, unknown })
            {
                await dying.NoteAsync(intent, CancellationToken.None);
            }

            await dying.CheckpointAsync(delivered.AttemptId, new() { UncachedInput = 10, Output = 7, Source = UsageSource.Estimated });
        }

        await RecoverAsync(_folder.JournalPath);

        // 1 pico-dollar per input token, 3 per output token; nothing of it is in a total.
        Assert.Equal((31, 7L), await RowAsync(delivered));
        Assert.Equal((40, null), await RowAsync(noted));
        Assert.Equal((0, null), await RowAsync(unknown));
        Assert.Equal(0, await _folder.CountAsync("SELECT sum(input_cost_pico_usd + output_cost_pico_usd) FROM charges"));
        Assert.Equal(71, await _folder.CountAsync("SELECT sum(unresolved_lower_bound_pico_usd) FROM rollup_hours"));
    }

    [Fact]
    public async Task OpenAttempt_IsPricedAsOfItsIntent()
    {
        var before = SomeAttempts.Intent(SomeAttempts.Price.EffectiveFrom.AddMilliseconds(-1), input: 40);
        using (var dying = _folder.OpenJournal())
        {
            await dying.NoteAsync(before, CancellationToken.None);
        }

        await RecoverAsync(_folder.JournalPath);

        Assert.Equal((0, null), await RowAsync(before));
    }

    [Fact]
    public async Task Recovery_DoneTwice_ChangesNothing()
    {
        var intent = SomeAttempts.Intent();
        using (var dying = _folder.OpenJournal())
        {
            await dying.NoteAsync(intent, CancellationToken.None);
        }

        var copy = _folder.CopyOf(_folder.JournalPath);
        await RecoverAsync(_folder.JournalPath);
        await RecoverAsync(copy);

        Assert.Equal(1, await _folder.CountAsync("SELECT count(*) FROM charges"));
        Assert.Equal(1, await _folder.CountAsync("SELECT sum(unresolved_requests) FROM rollup_hours"));
    }

    [Fact]
    public async Task Ledger_PutBackToAnOlderCopy_IsFedAgain()
    {
        using var journal = _folder.OpenJournal();
        using (var writer = _folder.Writer(journal))
        {
            await writer.StartAsync(CancellationToken.None);
            foreach (var intent in new[] { SomeAttempts.Intent(), SomeAttempts.Intent() })
            {
                await journal.NoteAsync(intent, CancellationToken.None);
                await journal.SettleAsync(SomeAttempts.Settled(intent));
                await writer.FlushAsync(CancellationToken.None);
            }

            await writer.StopAsync(CancellationToken.None);
        }

        journal.Dispose();
        foreach (var sql in new[]
        {
            MeteringFolder.Sql("DROP TRIGGER charges_are_append_only_delete", "DROP TRIGGER charges_are_append_only ON charges"), "DELETE FROM charges", "DELETE FROM journal_batches", "DELETE FROM rollup_hours",
            "UPDATE journals SET shipped_through = 0, digest = NULL",
        })
        {
            await _folder.RunAsync(sql);
        }

        await RecoverAsync(_folder.JournalPath);

        Assert.Equal(2, await _folder.CountAsync("SELECT count(*) FROM charges"));
        Assert.Equal(2, await _folder.CountAsync("SELECT sum(requests) FROM rollup_hours"));
    }

    private async Task AssertRecoveredAsync(string copy, HashSet<AttemptId> noted, HashSet<AttemptId> settled)
    {
        await RecoverAsync(copy);
        var rows = (await _folder.ReadAsync(
            "SELECT attempt_id, state FROM charges", row => (Id: new AttemptId(row.GetValue(0) is byte[] bytes ? new Guid(bytes, bigEndian: true) : row.GetGuid(0)), State: row.GetString(1))))
            .ToDictionary(row => row.Id, row => row.State);

        Assert.Superset(noted, rows.Keys.ToHashSet());
        Assert.All(settled, attempt => Assert.Equal("SETTLED", rows[attempt]));
        Assert.Equal(rows.Count, await _folder.CountAsync("SELECT count(*) FROM charges"));

        // Each copy is the same journal again: the next one starts over.
        foreach (var sql in new[]
        {
            MeteringFolder.Sql("DROP TRIGGER IF EXISTS charges_are_append_only_delete", "DROP TRIGGER IF EXISTS charges_are_append_only ON charges"), "DELETE FROM charges", "DELETE FROM journal_batches", "DELETE FROM journals",
        })
        {
            await _folder.RunAsync(sql);
        }
    }

    private async Task RecoverAsync(string path)
    {
        using var journal = _folder.OpenJournal(path: path);
        using var writer = _folder.Writer(journal);
        await writer.StartAsync(CancellationToken.None);
        Assert.Equal(0, journal.OpenAttempts);
        Assert.Equal(0, journal.Unshipped);
        Assert.Null(await _folder.Database.ReadAsync(connection => LedgerDigest.VerifyAsync(connection, journal.Id), CancellationToken.None));
        await writer.StopAsync(CancellationToken.None);
    }

    private async Task<(long LowerBound, long? Output)> RowAsync(Intent intent)
    {
        var (state, outcome, lowerBound, output) = Assert.Single(await _folder.ReadAsync(
            "SELECT state, outcome, lower_bound_pico_usd, output FROM charges WHERE attempt_id = @p0",
            row => (row.GetString(0), row.GetString(1), row.GetInt64(2), row.IsDBNull(3) ? (long?)null : row.GetInt64(3)),
            intent.AttemptId.Value));
        Assert.Equal(("UNRESOLVED", LedgerWriter.ProcessDied), (state, outcome));
        return (lowerBound, output);
    }
}

using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Metering;
using Xunit;

namespace Dvara.UnitTests.Metering;

public sealed class LedgerWriterTests : IAsyncLifetime
{
    private readonly MeteringFolder _folder = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _folder.DisposeAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task PoisonedRow_IsQuarantinedWhileTheRestShips(bool byTheEngine)
    {
        await _folder.RunAsync(MeteringFolder.Sql(
            "CREATE TRIGGER poison BEFORE INSERT ON charges WHEN NEW.end_user = 'poison' BEGIN SELECT RAISE(ABORT, 'no such user'); END",
            """
            CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'no such user' USING ERRCODE = 'check_violation';
            END $$;
            CREATE TRIGGER poison BEFORE INSERT ON charges FOR EACH ROW WHEN (NEW.end_user = 'poison') EXECUTE FUNCTION poison();
            """));
        var charges = Enumerable.Range(0, 21).Select(_ => SomeAttempts.Settled(SomeAttempts.Intent())).ToList();
        charges[13] = byTheEngine
            ? charges[13] with { Intent = charges[13].Intent with { EndUser = "poison" } }
            : charges[13] with { Cost = new(new Usd((Int128)long.MaxValue + 1), default) };
        using (var before = _folder.OpenJournal())
        {
            await SettleAsync(before, charges);
        }

        // Everything in one batch: the halving must find the one.
        using var journal = _folder.OpenJournal();
        using var writer = _folder.Writer(journal);
        await writer.StartAsync(CancellationToken.None);
        await writer.FlushAsync(CancellationToken.None);

        Assert.Equal(20, await _folder.CountAsync("SELECT count(*) FROM charges"));
        Assert.Equal(20 * 250, await _folder.CountAsync("SELECT sum(input_cost_pico_usd + output_cost_pico_usd) FROM rollup_hours"));
        var (payload, reason) = Assert.Single(await _folder.ReadAsync(
            "SELECT payload, reason FROM quarantined_charges", row => (row.GetFieldValue<byte[]>(0), row.GetString(1))));
        Assert.True(SomeAttempts.Same(charges[13], JournalEntry.DecodeCharge(payload)));
        Assert.False(string.IsNullOrEmpty(reason));
        Assert.Equal(0, journal.Unshipped);
        Assert.Null(await VerifyAsync(journal));

        // What comes later is not held up.
        await SettleAsync(journal, [SomeAttempts.Settled(SomeAttempts.Intent())]);
        await writer.FlushAsync(CancellationToken.None);
        Assert.Equal(21, await _folder.CountAsync("SELECT count(*) FROM charges"));
        await writer.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Charges_ShipByThemselves()
    {
        using var journal = _folder.OpenJournal();
        using var writer = _folder.Writer(journal);
        await writer.StartAsync(CancellationToken.None);

        await SettleAsync(journal, Enumerable.Range(0, 5).Select(_ => SomeAttempts.Settled(SomeAttempts.Intent())));

        Assert.True(SpinWait.SpinUntil(() => journal.Unshipped == 0, MeteringFolder.Patience));
        Assert.Equal(5, await _folder.CountAsync("SELECT count(*) FROM charges"));
        await writer.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Stop_WithoutTime_LeavesTheJournalOpen_AndDoesNotThrow()
    {
        using var journal = _folder.OpenJournal();
        using var writer = _folder.Writer(journal);
        await writer.StartAsync(CancellationToken.None);

        await writer.StopAsync(new CancellationToken(canceled: true));

        Assert.False(writer.IsClosed);
        Assert.Equal(1, await _folder.CountAsync("SELECT count(*) FROM journals WHERE state = 'OPEN'"));
    }

    [Fact]
    public async Task Flush_WhenTheLedgerIsAway_EndsWhenItIsBack()
    {
        using var journal = _folder.OpenJournal();
        using var writer = _folder.Writer(journal);
        await writer.StartAsync(CancellationToken.None);
        await _folder.RunAsync("ALTER TABLE charges RENAME TO charges_away");
        await SettleAsync(journal, [SomeAttempts.Settled(SomeAttempts.Intent())]);

        using var impatient = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => writer.FlushAsync(impatient.Token));
        var flush = writer.FlushAsync(CancellationToken.None);
        Assert.Equal(1, journal.Unshipped);
        Assert.False(flush.IsCompleted);

        await _folder.RunAsync("ALTER TABLE charges_away RENAME TO charges");
        await flush.WaitAsync(MeteringFolder.Patience);
        Assert.Equal(1, await _folder.CountAsync("SELECT count(*) FROM charges"));
        Assert.Equal(0, await _folder.CountAsync("SELECT count(*) FROM quarantined_charges"));
        await writer.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Flush_OfManyBatches_ShipsEveryOne()
    {
        _folder.Options.BatchMax = 3;
        _folder.Options.RecentMax = 2;
        using var journal = _folder.OpenJournal();
        using var writer = _folder.Writer(journal);
        await writer.StartAsync(CancellationToken.None);
        await SettleAsync(journal, Enumerable.Range(0, 20).Select(_ => SomeAttempts.Settled(SomeAttempts.Intent())));
        // Numbers of notes lie behind the last charge: there is nothing to wait for.
        await journal.NoteAsync(SomeAttempts.Intent(), CancellationToken.None);

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => writer.FlushAsync(CancellationToken.None))).WaitAsync(MeteringFolder.Patience);

        Assert.Equal(20, await _folder.CountAsync("SELECT count(*) FROM charges"));
        Assert.Null(await VerifyAsync(journal));
        await writer.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Stop_ShipsTheRestAndClosesTheJournal()
    {
        using var journal = _folder.OpenJournal();
        using var writer = _folder.Writer(journal);
        await writer.StartAsync(CancellationToken.None);
        Assert.Equal("OPEN", await StateAsync(journal));
        await SettleAsync(journal, Enumerable.Range(0, 5).Select(_ => SomeAttempts.Settled(SomeAttempts.Intent())));

        await writer.StopAsync(CancellationToken.None);

        Assert.Equal(5, await _folder.CountAsync("SELECT count(*) FROM charges"));
        Assert.Equal("CLOSED", await StateAsync(journal));
    }

    [Fact]
    public async Task Stop_WithAnAttemptOpen_LeavesTheJournalOpen()
    {
        // Closed, it would not be missed if its file never came back.
        using var journal = _folder.OpenJournal();
        using var writer = _folder.Writer(journal);
        await writer.StartAsync(CancellationToken.None);
        await journal.NoteAsync(SomeAttempts.Intent(), CancellationToken.None);

        await writer.StopAsync(CancellationToken.None);

        Assert.Equal("OPEN", await StateAsync(journal));
    }

    [Fact]
    public async Task Start_WithAnotherJournal_NamesTheOneThatIsGone()
    {
        var lost = default(JournalId);
        using (var journal = _folder.OpenJournal())
        {
            using var writer = _folder.Writer(journal);
            await writer.StartAsync(CancellationToken.None);
            await journal.NoteAsync(SomeAttempts.Intent(), CancellationToken.None);
            await writer.StopAsync(CancellationToken.None);
            lost = journal.Id;
        }

        using var next = _folder.OpenJournal(path: _folder.JournalPath + ".new");
        using var nextWriter = _folder.Writer(next);
        await nextWriter.StartAsync(CancellationToken.None);

        Assert.Equal(
            [(next.Id, "OPEN"), (lost, "MISSING")],
            (await _folder.Database.ReadAsync(c => LedgerStore.ListAsync(c, before: null, limit: 10), CancellationToken.None)).Select(j => (j.Id, j.State)));
        await nextWriter.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Start_OnADamagedJournal_IsRefusedAndDoesNotCloseIt()
    {
        var intent = SomeAttempts.Intent() with { EndUser = "find-me" };
        using (var journal = _folder.OpenJournal())
        {
            using var writer = _folder.Writer(journal);
            await writer.StartAsync(CancellationToken.None);
            await journal.NoteAsync(intent, CancellationToken.None);
            await writer.StopAsync(CancellationToken.None);
        }

        var bytes = File.ReadAllBytes(_folder.JournalPath);
        bytes[bytes.AsSpan().IndexOf("find-me"u8)] ^= 1;
        File.WriteAllBytes(_folder.JournalPath, bytes);

        using var damaged = _folder.OpenJournal();
        using var next = _folder.Writer(damaged);
        await Assert.ThrowsAsync<JournalDamagedException>(() => next.StartAsync(CancellationToken.None));
        await next.StopAsync(CancellationToken.None);
        Assert.Equal("OPEN", await StateAsync(damaged));
    }

    [Fact]
    public async Task Minutes_OlderThanTwoDays_AreSwept()
    {
        using var journal = _folder.OpenJournal();
        using var writer = _folder.Writer(journal);
        await writer.StartAsync(CancellationToken.None);
        var now = _folder.Clock.GetUtcNow();
        await SettleAsync(journal, new[] { now.AddHours(-49), now.AddHours(-47) }.Select(at => SomeAttempts.Settled(SomeAttempts.Intent(at))));
        await writer.FlushAsync(CancellationToken.None);

        // The loop sweeps after it has shipped.
        Assert.True(SpinWait.SpinUntil(
            () => _folder.CountAsync("SELECT count(*) FROM rollup_minutes").GetAwaiter().GetResult() == 1, MeteringFolder.Patience));
        Assert.Equal(2, await _folder.CountAsync("SELECT count(*) FROM rollup_hours"));
        await writer.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Charge_ShippedLate_IsKeptForTheRetentionFromThen()
    {
        // Older than minute rollups are kept: that its minute is gone tells that a round of pruning is over.
        var at = _folder.Clock.GetUtcNow().AddHours(-49);
        using (var before = _folder.OpenJournal())
        {
            await SettleAsync(before, [SomeAttempts.Settled(SomeAttempts.Intent(at))]);
        }

        _folder.Clock.Advance(_folder.Options.Retention + TimeSpan.FromHours(1));
        using var journal = _folder.OpenJournal();
        using var writer = _folder.Writer(journal);
        await writer.StartAsync(CancellationToken.None);
        var late = journal.LastChargeSeq;
        await SettleAsync(journal, [SomeAttempts.Settled(SomeAttempts.Intent(_folder.Clock.GetUtcNow()))]);
        Assert.True(SpinWait.SpinUntil(
            () => _folder.CountAsync("SELECT count(*) FROM rollup_minutes WHERE start_ms <= @p0", at.ToUnixTimeMilliseconds()).GetAwaiter().GetResult() == 0,
            MeteringFolder.Patience));
        Assert.Equal(0, journal.ReadPrunedThrough());

        _folder.Clock.Advance(_folder.Options.Retention + TimeSpan.FromMilliseconds(1));
        await SettleAsync(journal, [SomeAttempts.Settled(SomeAttempts.Intent(_folder.Clock.GetUtcNow()))]);
        Assert.True(SpinWait.SpinUntil(() => journal.ReadPrunedThrough() >= late, MeteringFolder.Patience));
        await writer.StopAsync(CancellationToken.None);
    }

    private static async Task SettleAsync(Journal journal, IEnumerable<Charge> charges)
    {
        var all = charges.ToList();
        await Task.WhenAll(all.Select(charge => journal.NoteAsync(charge.Intent, CancellationToken.None)));
        await Task.WhenAll(all.Select(journal.SettleAsync));
    }

    private async Task<string> StateAsync(Journal journal) => Assert.Single(
        await _folder.ReadAsync("SELECT state FROM journals WHERE id = @p0", row => row.GetString(0), journal.Id.Value));

    private Task<string?> VerifyAsync(Journal journal) =>
        _folder.Database.ReadAsync(connection => LedgerDigest.VerifyAsync(connection, journal.Id), CancellationToken.None);
}

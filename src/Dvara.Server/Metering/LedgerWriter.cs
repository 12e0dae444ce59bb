using System.Data.Common;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Hosting;
using Dvara.Server.Pricing;
using Dvara.Server.Storage;

namespace Dvara.Server.Metering;

/// <summary>
/// Brings this silo's charges from its journal into the ledger, in order and once. At start it takes up where the ledger says that the
/// last process stopped, and calls unresolved what that process left open; at the stop it ships the rest.
/// </summary>
/// <remarks>
/// <code>
/// batch is in                  the journal is told
/// ledger stands further back   what it has lost is shipped again
/// row is refused               its batch is halved until the row is alone; it is put aside, the others go on
/// journal taken over, damaged  the process ends: two writers, or a journal with holes, would double or lose money
/// anything else                the batch is tried again, further and further apart, until it is in; lateness is all it costs
/// </code>
/// </remarks>
internal sealed partial class LedgerWriter(
    Journal journal,
    Database database,
    PriceBookState prices,
    IEnumerable<ILedgerParticipant> participants,
    JournalOptions options,
    TimeProvider clock,
    ProcessFailure failure,
    SiloName silo,
    ILogger<LedgerWriter> logger) : BackgroundService
{
    /// <summary>Outcome of an attempt whose process died.</summary>
    public const string ProcessDied = "process_died";

    private static readonly TimeSpan RetryFirst = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan RetryMax = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan FlushMax = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan PruneInterval = TimeSpan.FromMinutes(1);

    /// <summary>How often a silo of a cluster says that it has its journal open, and looks whether the ledger has lost some of it.</summary>
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(10);

    /// <summary>Readers leave the last hour of it alone, because it is swept while they read.</summary>
    private static readonly TimeSpan MinutesKept = TimeSpan.FromHours(48);

    /// <summary>The guard counts by the day of the intent; a charge that comes later than this may count a value again.</summary>
    private static readonly TimeSpan TagValuesKept = TimeSpan.FromDays(7);

    private readonly SemaphoreSlim _shipping = new(1);
    private LedgerBatch _batch = null!;
    private long _epoch;
    private volatile bool _isStarted;

    // Written under _shipping. _acknowledged: the end of the last batch that the ledger has taken; _through may be further, where places
    // belong to notes.
    private long _through;
    private long _acknowledged;
    private bool _isLate;

    // The loop's own.
    private DateTimeOffset _pruned;

    /// <summary>Attempts that the last process had left without a charge.</summary>
    public int LeftOpen { get; private set; }

    /// <summary>True once everything is in the ledger and the journal is CLOSED there.</summary>
    public bool IsClosed { get; private set; }

    /// <summary>Counts the processes that have opened the journal; this one's, once it has.</summary>
    public long Epoch => _epoch;

    /// <summary>When it ends, every charge that was durable at the call is in the ledger, or put aside.</summary>
    /// <exception cref="OperationCanceledException">The wait was given up; the shipping goes on.</exception>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        var target = journal.LastChargeSeq;
        var wait = RetryFirst;
        while (Volatile.Read(ref _through) < target)
        {
            // Never cancelled itself: a batch is whole or not there.
            if (await TryShipAsync(target).WaitAsync(cancellationToken))
            {
                wait = RetryFirst;
                continue;
            }

            // Real time: the clock of a rehearsal or of a test may stand still, and the database's trouble does not.
            await Task.Delay(wait, TimeProvider.System, cancellationToken);
            wait = wait < RetryMax / 2 ? wait * 2 : RetryMax;
        }
    }

    /// <summary>As <see cref="FlushAsync"/>, within 30 s.</summary>
    /// <returns>False: the ledger is further behind than that.</returns>
    public async Task<bool> TryFlushAsync()
    {
        using var bound = new CancellationTokenSource(FlushMax, clock);
        try
        {
            await FlushAsync(bound.Token);
            return true;
        }
        catch (OperationCanceledException) when (bound.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>Registers the journal, ends what the last process left open, and ships what the journal holds.</summary>
    /// <exception cref="JournalDamagedException">The journal cannot be trusted.</exception>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        var (standing, missing) = await database.WriteAsync(
            WriteLane.Admin, t => LedgerStore.RegisterAsync(t, journal.Id, silo.Name, database.IsCluster, clock.GetUtcNow()), cancellationToken);
        _epoch = standing.Epoch;
        _through = _acknowledged = standing.ShippedThrough;
        _batch = new LedgerBatch(journal.Id, standing.Epoch, options, [.. participants], clock);
        Report(standing, missing);

        var left = journal.Resume(standing.ShippedThrough);
        await Task.WhenAll(left.Select(open => journal.SettleAsync(Unresolve(open))));
        LeftOpen = left.Count;
        if (left.Count > 0)
        {
            LogUnresolved(logger, left.Count);
        }

        await FlushAsync(cancellationToken);
        _isStarted = true;
        await base.StartAsync(cancellationToken);
    }

    /// <summary>Ships the rest. A journal that still holds something stays OPEN, so that it is missed if it never comes back.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (!_isStarted)
        {
            return;
        }

        // A database that is away holds nobody up for longer: the journal keeps what it has for the next start.
        await ((Task)TryFlushAsync()).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (journal.OpenAttempts > 0 || journal.Unshipped > 0)
        {
            LogLeftOpen(logger, journal.OpenAttempts, journal.Unshipped);
            return;
        }

        try
        {
            await database.WriteAsync(WriteLane.Ledger, CloseAsync, cancellationToken);
            IsClosed = true;
        }
        catch (Exception exception) when (exception is DbException or CommitUnconfirmedException)
        {
            LogNotClosed(logger, exception);
        }
    }

    private async Task CloseAsync(DbTransaction transaction)
    {
        await LedgerStore.CloseAsync(transaction, journal.Id, _epoch);
        foreach (var participant in participants)
        {
            await participant.OnClosedAsync(transaction, journal.Id);
        }
    }

    public override void Dispose()
    {
        _shipping.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await Task.WhenAll(ShipForeverAsync(stoppingToken), database.IsCluster ? WatchForeverAsync(stoppingToken) : Task.CompletedTask);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // StopAsync ships the rest.
        }
    }

    private async Task ShipForeverAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            await journal.WaitForChargesAsync(stoppingToken);
            await Task.Delay(options.Gather, TimeProvider.System, stoppingToken);
            await FlushAsync(stoppingToken);
            await PruneWhenDueAsync();
        }
    }

    private async Task WatchForeverAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(WatchInterval);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            await WatchAsync();
        }
    }

    /// <summary>A silo without traffic finds out too that the ledger went back; with traffic the next batch does.</summary>
    private async Task WatchAsync()
    {
        await _shipping.WaitAsync();
        try
        {
            var standing = await database.WriteAsync(
                WriteLane.Ledger,
                async transaction =>
                {
                    await LedgerStore.NoteSeenAsync(transaction, journal.Id, _epoch, clock.GetUtcNow(), journal.Unshipped);
                    return await LedgerStore.ReadStandingAsync(transaction, journal.Id);
                },
                CancellationToken.None);
            if (standing is null || standing.Epoch < _epoch || (standing.Epoch == _epoch && standing.ShippedThrough < _acknowledged))
            {
                await TryGoBackAsync(new(standing?.ShippedThrough ?? 0, forgotten: standing?.Epoch != _epoch));
            }
        }
        catch (Exception exception) when (exception is DbException or TimeoutException or CommitUnconfirmedException)
        {
            // The ledger is away; whoever ships says so.
        }
        finally
        {
            _shipping.Release();
        }
    }

    /// <summary>Takes up again where the ledger stands; what it has lost is read from the journal's file.</summary>
    private void GoBack_NeedsLock(long shippedThrough)
    {
        LogWentBack(logger, _acknowledged, shippedThrough);
        if (journal.ReadPrunedThrough() is var pruned && pruned > shippedThrough)
        {
            LogLedgerGap(logger, shippedThrough, pruned);
        }

        _acknowledged = shippedThrough;
        Volatile.Write(ref _through, shippedThrough);
        // Last: it wakes the loop, which must find something to ship.
        journal.OnLedgerWentBack(shippedThrough);
    }

    /// <returns>False: not now, but another time.</returns>
    private async Task<bool> TryGoBackAsync(LedgerWentBackException lost)
    {
        if (lost.Forgotten)
        {
            try
            {
                await database.WriteAsync(
                    WriteLane.Ledger, t => LedgerStore.RegisterAgainAsync(t, journal.Id, silo.Name, _epoch, clock.GetUtcNow()), CancellationToken.None);
            }
            catch (Exception exception) when (Database.IsAway(exception))
            {
                return false;
            }
        }

        if (lost.ShippedThrough < _acknowledged)
        {
            GoBack_NeedsLock(lost.ShippedThrough);
        }

        return true;
    }

    /// <summary>Ships one batch, unless another call has reached <paramref name="target"/> meanwhile.</summary>
    /// <returns>False: not now, but another time.</returns>
    private async Task<bool> TryShipAsync(long target)
    {
        await _shipping.WaitAsync();
        try
        {
            if (_through < target)
            {
                await ShipAsync();
                _isLate = false;
            }

            return true;
        }
        catch (LedgerWentBackException exception)
        {
            return await TryGoBackAsync(exception);
        }
        catch (Exception exception) when (exception is JournalTakenOverException or JournalDamagedException)
        {
            if (_isStarted)
            {
                failure.End(exception);
            }

            throw;
        }
        catch (Exception exception) when (_isStarted || !database.IsDenied(exception))
        {
            if (!_isLate)
            {
                LogLate(logger, exception, journal.Unshipped);
                _isLate = true;
            }

            return false;
        }
        finally
        {
            _shipping.Release();
        }
    }

    private async Task ShipAsync()
    {
        var last = journal.LastChargeSeq;
        var batch = journal.ReadCharges(_through, options.BatchMax);
        if (batch.Count == 0)
        {
            // The last numbers belong to notes, not to charges.
            Volatile.Write(ref _through, last);
            return;
        }

        await WriteAsync(batch);
    }

    private async Task WriteAsync(IReadOnlyList<JournaledCharge> batch)
    {
        try
        {
            await database.WriteAsync(WriteLane.Ledger, t => _batch.WriteAsync(t, batch, _acknowledged, CancellationToken.None), CancellationToken.None);
        }
        catch (Exception exception) when (IsRefusal(exception))
        {
            if (batch.Count > 1)
            {
                await WriteAsync([.. batch.Take(batch.Count / 2)]);
                await WriteAsync([.. batch.Skip(batch.Count / 2)]);
                return;
            }

            await database.WriteAsync(WriteLane.Ledger, t => _batch.QuarantineAsync(t, batch[0], exception.Message), CancellationToken.None);
            LogQuarantined(logger, exception, batch[0].Charge.Intent.AttemptId);
        }

        _acknowledged = batch[^1].Seq;
        journal.OnShipped(batch[^1].Seq, batch.Count);
        Volatile.Write(ref _through, batch[^1].Seq);
    }

    private async Task PruneWhenDueAsync()
    {
        var now = clock.GetUtcNow();
        if (now - _pruned < PruneInterval)
        {
            return;
        }

        _pruned = now;
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

    private Charge Unresolve(OpenIntent open) => Charging.Unresolve(
        open.Intent, new AttemptEnd { Outcome = ProcessDied }, open.Delivered ?? KnownInput(open.Intent), prices.Current);

    private static TokenUsage? KnownInput(Intent intent) =>
        intent.EstimatedInputTokens is { } input ? new() { UncachedInput = input, Source = UsageSource.Estimated } : null;

    /// <summary>The row is to blame: sending it again would be refused again.</summary>
    private bool IsRefusal(Exception exception) => exception is OverflowException or ArgumentException || database.IsRefusal(exception);

    private void Report(JournalStanding standing, int missing)
    {
        if (missing > 0)
        {
            LogMissing(logger, missing);
        }

        var pruned = journal.ReadPrunedThrough();
        if (pruned > standing.ShippedThrough)
        {
            LogLedgerGap(logger, standing.ShippedThrough, pruned);
        }

        if (journal.LastChargeSeq < standing.ShippedThrough)
        {
            LogJournalGap(logger, journal.LastChargeSeq, standing.ShippedThrough);
        }
    }
}

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

    /// <summary>How often a silo of a cluster says that it has its journal open, and looks whether the ledger has lost some of it.</summary>
    private static readonly TimeSpan WatchInterval = TimeSpan.FromSeconds(10);

    private readonly LedgerSweep _sweep = new(journal, database, options, clock, logger);
    // None before the journal is registered; a grain may ask for a flush by then.
    private volatile LedgerFeed? _feed;
    private long _epoch;
    private bool _isStarted;

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
        while (!(_feed?.Through >= target))
        {
            // Never cancelled itself: a batch is whole or not there.
            if (_feed is { } feed && await feed.TryShipAsync(target).WaitAsync(cancellationToken))
            {
                wait = RetryFirst;
                continue;
            }

            // Real time: the clock of a rehearsal or of a test may stand still, and the database's trouble does not.
            await Task.Delay(wait, TimeProvider.System, cancellationToken);
            wait = wait < RetryMax / 2 ? wait * 2 : RetryMax;
        }
    }

    /// <summary>As <see cref="FlushAsync"/>, for a while.</summary>
    /// <param name="within">Null: 30 s.</param>
    /// <param name="cancellationToken">Nobody waits any more.</param>
    /// <returns>False: the ledger is further behind than that.</returns>
    /// <exception cref="OperationCanceledException"><paramref name="cancellationToken"/> said so.</exception>
    public async Task<bool> TryFlushAsync(TimeSpan? within = null, CancellationToken cancellationToken = default)
    {
        using var bound = new CancellationTokenSource(within ?? FlushMax, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(bound.Token, cancellationToken);
        try
        {
            await FlushAsync(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
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
        var batches = new LedgerBatch(journal.Id, standing.Epoch, silo, options, [.. participants], clock);
        var feed = new LedgerFeed(journal, standing.ShippedThrough, batches, database, options, failure, logger);
        _feed = feed;
        Report(feed, standing, missing);

        var left = journal.Resume(standing.ShippedThrough);
        await Task.WhenAll(left.Select(open => journal.SettleAsync(Unresolve(open))));
        LeftOpen = left.Count;
        if (left.Count > 0)
        {
            LogUnresolved(logger, left.Count);
        }

        await FlushAsync(cancellationToken);
        _isStarted = true;
        feed.OnStarted();
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
        await ((Task)TryFlushAsync(cancellationToken: cancellationToken)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
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
        catch (Exception exception) when (exception is DbException or CommitUnconfirmedException or OperationCanceledException)
        {
            LogNotClosed(logger, exception);
        }
    }

    /// <summary>Says that the journal is open, and makes good what the ledger has lost of it. Not before the start.</summary>
    /// <returns>False: not now, but another time.</returns>
    public Task<bool> TryWatchAsync(CancellationToken cancellationToken) => _feed!.TryWatchAsync(cancellationToken);

    public override void Dispose()
    {
        _feed?.Dispose();
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
            await _sweep.RunWhenDueAsync();
        }
    }

    private async Task WatchForeverAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(WatchInterval);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            await TryWatchAsync(stoppingToken);
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

    private Charge Unresolve(OpenIntent open) => Charging.Unresolve(
        open.Intent, new AttemptEnd { Outcome = ProcessDied }, open.Delivered ?? KnownInput(open.Intent), prices.Current);

    private static TokenUsage? KnownInput(Intent intent) =>
        intent.EstimatedInputTokens is { } input ? new() { UncachedInput = input, Source = UsageSource.Estimated } : null;

    private void Report(LedgerFeed feed, JournalStanding standing, int missing)
    {
        if (missing > 0)
        {
            LogMissing(logger, missing);
        }

        feed.ReportGap(standing.ShippedThrough);
        if (journal.LastChargeSeq < standing.ShippedThrough)
        {
            LogJournalGap(logger, journal.LastChargeSeq, standing.ShippedThrough);
        }
    }
}

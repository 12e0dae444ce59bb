using Dvara.Domain.Metering;
using Dvara.Server.Pricing;
using Dvara.Server.Storage;
using Microsoft.Data.Sqlite;

namespace Dvara.Server.Metering;

/// <summary>
/// Brings this silo's charges from its journal into the ledger, in order and once. At start it takes up where the ledger says that the
/// last process stopped, and calls unresolved what that process left open; at the stop it ships the rest.
/// </summary>
/// <remarks>
/// A database that is away costs nothing but lateness: the batch is tried again until it is in. A row that the engine refuses is found by
/// halving its batch and put aside, so that it never holds up the others.
/// </remarks>
internal sealed partial class LedgerWriter(
    Journal journal,
    Database database,
    PriceBookState prices,
    IEnumerable<ILedgerParticipant> participants,
    JournalOptions options,
    TimeProvider clock,
    ProcessFailure failure,
    ILogger<LedgerWriter> logger) : BackgroundService
{
    /// <summary>Outcome of an attempt whose process died.</summary>
    public const string ProcessDied = "process_died";

    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan PruneInterval = TimeSpan.FromMinutes(1);

    private readonly SemaphoreSlim _shipping = new(1);
    private LedgerBatch _batch = null!;
    private long _epoch;
    private long _through;
    private DateTimeOffset _pruned;

    /// <summary>When it ends, every charge that was durable at the call is in the ledger, or put aside.</summary>
    /// <exception cref="OperationCanceledException">The wait was given up; the shipping goes on.</exception>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        var target = journal.LastChargeSeq;
        while (Volatile.Read(ref _through) < target)
        {
            await ShipAsync(target).WaitAsync(cancellationToken);
        }
    }

    /// <summary>Registers the journal, ships what it holds, and ends what the last process left open.</summary>
    /// <exception cref="JournalDamagedException">The journal cannot be trusted.</exception>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        var (standing, missing) = await database.WriteAsync(
            WriteLane.Admin, t => LedgerStore.RegisterAsync(t, journal.Id, Environment.MachineName, clock.GetUtcNow()), cancellationToken);
        _epoch = standing.Epoch;
        _through = standing.ShippedThrough;
        _batch = new LedgerBatch(journal.Id, standing.Epoch, options, [.. participants], clock);
        if (missing > 0)
        {
            LogMissing(logger, missing);
        }

        if (journal.ReadPrunedThrough() > standing.ShippedThrough)
        {
            LogGap(logger, standing.ShippedThrough, journal.ReadPrunedThrough());
        }

        var left = journal.Resume(standing.ShippedThrough);
        await Task.WhenAll(left.Select(open => journal.SettleAsync(Unresolve(open))));
        if (left.Count > 0)
        {
            LogUnresolved(logger, left.Count);
        }

        await FlushAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        if (_batch is null)
        {
            return;
        }

        await FlushAsync(cancellationToken);
        await database.WriteAsync(WriteLane.Ledger, t => LedgerStore.SetStateAsync(t, journal.Id, _epoch, "CLOSED"), cancellationToken);
    }

    public override void Dispose()
    {
        _shipping.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await journal.WaitForChargesAsync(stoppingToken);
                await Task.Delay(options.Gather, stoppingToken);
                await ShipUntilDoneAsync(stoppingToken);
                await PruneWhenDueAsync();
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                // StopAsync ships the rest.
            }
            catch (Exception exception) when (exception is JournalTakenOverException or JournalDamagedException)
            {
                failure.End(exception);
                return;
            }
        }
    }

    private async Task ShipUntilDoneAsync(CancellationToken stoppingToken)
    {
        for (var wasLogged = false; ;)
        {
            try
            {
                await FlushAsync(stoppingToken);
                return;
            }
            catch (Exception exception) when (exception is not (OperationCanceledException or JournalTakenOverException or JournalDamagedException))
            {
                if (!wasLogged)
                {
                    LogLate(logger, exception, journal.Unshipped);
                    wasLogged = true;
                }

                await Task.Delay(RetryInterval, stoppingToken);
            }
        }
    }

    /// <summary>Ships one batch, unless another call has reached <paramref name="target"/> meanwhile. Never cancelled: a batch is whole or not there.</summary>
    private async Task ShipAsync(long target)
    {
        await _shipping.WaitAsync();
        try
        {
            if (_through >= target)
            {
                return;
            }

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
        finally
        {
            _shipping.Release();
        }
    }

    private async Task WriteAsync(IReadOnlyList<JournaledCharge> batch)
    {
        try
        {
            await database.WriteAsync(WriteLane.Ledger, t => _batch.WriteAsync(t, batch, CancellationToken.None), CancellationToken.None);
            OnShipped(batch);
        }
        catch (Exception exception) when (IsRefusal(exception))
        {
            if (batch.Count > 1)
            {
                await WriteAsync([.. batch.Take(batch.Count / 2)]);
                await WriteAsync([.. batch.Skip(batch.Count / 2)]);
                return;
            }

            LogQuarantined(logger, exception, batch[0].Charge.Intent.AttemptId.ToString());
            await database.WriteAsync(WriteLane.Ledger, t => _batch.QuarantineAsync(t, batch[0], exception.Message), CancellationToken.None);
            OnShipped(batch);
        }
    }

    private void OnShipped(IReadOnlyList<JournaledCharge> batch)
    {
        journal.OnShipped(batch[^1].Seq, batch.Count);
        Volatile.Write(ref _through, batch[^1].Seq);
    }

    private async Task PruneWhenDueAsync()
    {
        if (clock.GetUtcNow() - _pruned < PruneInterval)
        {
            return;
        }

        _pruned = clock.GetUtcNow();
        await journal.PruneAsync();
        await database.WriteAsync(WriteLane.Ledger, t => LedgerStore.SetLowWaterAsync(t, journal.Id, journal.ReadPrunedThrough()), CancellationToken.None);
    }

    private Charge Unresolve(OpenIntent open) => Charging.Unresolve(
        open.Intent,
        new AttemptEnd { LatencyMs = 0, Outcome = ProcessDied },
        open.Delivered ?? new() { UncachedInput = open.Intent.EstimatedInputTokens, Source = Domain.UsageSource.Estimated },
        prices.Current);

    /// <summary>The row is to blame: sending it again would be refused again.</summary>
    private static bool IsRefusal(Exception exception) =>
        exception is OverflowException or ArgumentException || (exception is SqliteException sqlite && SqliteErrors.IsRefusal(sqlite));

    [LoggerMessage(1, LogLevel.Warning, "{Count} attempts were open when the last process died; they are unresolved now.")]
    private static partial void LogUnresolved(ILogger logger, int count);

    [LoggerMessage(2, LogLevel.Error, "{Count} journals of this node are missing: what they had not shipped is not in the ledger. See /v1/admin/journals.")]
    private static partial void LogMissing(ILogger logger, int count);

    [LoggerMessage(3, LogLevel.Critical, "The ledger has charges up to {Shipped} only, and the journal no longer keeps those before {Pruned}: the ledger was put back to an older copy, and what lies between is lost.")]
    private static partial void LogGap(ILogger logger, long shipped, long pruned);

    [LoggerMessage(4, LogLevel.Warning, "The ledger cannot be written; {Unshipped} charges wait in the journal and are tried again.")]
    private static partial void LogLate(ILogger logger, Exception exception, int unshipped);

    [LoggerMessage(5, LogLevel.Error, "The ledger refuses the charge of attempt {Attempt}; it is in quarantine.")]
    private static partial void LogQuarantined(ILogger logger, Exception exception, string attempt);
}

using Dvara.Server.Storage;

namespace Dvara.Server.Metering;

/// <summary>Batch after batch of the journal into the ledger, one at a time, from where the ledger stands.</summary>
/// <remarks>
/// <code>
/// batch is in                  the journal is told
/// ledger stands further back   what it has lost is shipped again
/// its timeline is another      what the journal keeps is fed to it again, and only what is missing goes in
/// row is refused               its batch is halved until the row is alone; it is put aside, the others go on
/// journal taken over, damaged  the process ends: two writers, or a journal with holes, would double or lose money
/// anything else                the batch is tried again, further and further apart, until it is in; lateness is all it costs
/// </code>
/// </remarks>
internal sealed partial class LedgerFeed(
    Journal journal, long shippedThrough, LedgerBatch batches, Database database, JournalOptions options, ProcessFailure failure, ILogger logger) : IDisposable
{
    private readonly SemaphoreSlim _gate = new(1);
    private volatile bool _isStarted;

    // Written under _gate. _acknowledged: the end of the last batch that the ledger has taken; _through may be further, where places
    // belong to notes.
    private long _through = shippedThrough;
    private long _acknowledged = shippedThrough;
    private bool _isLate;

    // What the journal remembers, from the first watch on. The watch's own.
    private string? _timeline;

    /// <summary>Charges up to here are in the ledger, or put aside.</summary>
    public long Through => Volatile.Read(ref _through);

    /// <summary>From now on a right that the role lacks is waited for, and only a journal that cannot be trusted ends the process.</summary>
    public void OnStarted() => _isStarted = true;

    /// <summary>Ships one batch, unless another call has reached <paramref name="target"/> meanwhile.</summary>
    /// <returns>False: not now, but another time.</returns>
    public Task<bool> TryShipAsync(long target) => TryAsync(async () =>
    {
        if (_through < target)
        {
            await ShipAsync();
            _isLate = false;
        }
    });

    /// <summary>Says that the journal is open, and makes good what the ledger has lost of it: a silo without traffic finds out here.</summary>
    /// <returns>False: not now, but another time.</returns>
    public async Task<bool> TryWatchAsync(CancellationToken cancellationToken)
    {
        string? timeline = null;
        return await TryAsync(async () => timeline = await LookAsync())
            && (timeline is null || timeline == (_timeline ??= journal.ReadTimeline()) || await TryFeedAgainAsync(timeline, cancellationToken));
    }

    /// <summary>Tells where the journal no longer keeps all that a ledger lacks that stands at <paramref name="shippedThrough"/>.</summary>
    public void ReportGap(long shippedThrough)
    {
        if (journal.ReadPrunedThrough() is var pruned && pruned > shippedThrough)
        {
            LogLedgerGap(logger, shippedThrough, pruned);
        }
    }

    public void Dispose() => _gate.Dispose();

    private async Task<string?> LookAsync()
    {
        // In one transaction, so that standing and timeline are of one server.
        var timeline = await database.WriteAsync(
            WriteLane.Ledger,
            async transaction =>
            {
                await batches.LookAsync(transaction, _acknowledged, journal.Unshipped);
                return await database.ReadTimelineAsync(transaction);
            },
            CancellationToken.None);
        _isLate &= journal.Unshipped > 0;
        return timeline;
    }

    /// <summary>Feeds what the journal keeps to the ledger once more, unless nothing was remembered yet. Batches go on between; given up, it begins anew next time.</summary>
    /// <returns>False: not now, but another time.</returns>
    private async Task<bool> TryFeedAgainAsync(string timeline, CancellationToken cancellationToken)
    {
        if (_timeline is not null)
        {
            var (fed, missing, after, end) = (0, 0, 0L, Volatile.Read(ref _acknowledged));
            while (after < end)
            {
                cancellationToken.ThrowIfCancellationRequested();
                if (!await TryAsync(FeedAsync))
                {
                    return false;
                }
            }

            LogFedAgain(logger, _timeline, timeline, fed, missing);

            async Task FeedAsync()
            {
                IReadOnlyList<JournaledCharge> batch = [.. journal.ReadCharges(after, options.BatchMax).TakeWhile(charge => charge.Seq <= end)];
                if (batch.Count == 0)
                {
                    after = end;
                    return;
                }

                missing += await WriteAgainAsync(batch);
                (after, fed) = (batch[^1].Seq, fed + batch.Count);
            }
        }

        _timeline = timeline;
        await journal.RememberTimelineAsync(timeline);
        return true;
    }

    private async Task<bool> TryAsync(Func<Task> step)
    {
        await _gate.WaitAsync();
        try
        {
            await step();
            return true;
        }
        catch (LedgerWentBackException exception)
        {
            await GoBackAsync(exception);
            return false;
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
            SayLate(exception);
            return false;
        }
        finally
        {
            _gate.Release();
        }
    }

    private async Task GoBackAsync(LedgerWentBackException lost)
    {
        if (lost.Forgotten)
        {
            try
            {
                await database.WriteAsync(WriteLane.Ledger, batches.RegisterAgainAsync, CancellationToken.None);
            }
            catch (Exception exception) when (_isStarted || !database.IsDenied(exception))
            {
                SayLate(exception);
                return;
            }
        }

        if (lost.ShippedThrough < _acknowledged)
        {
            GoBack_NeedsLock(lost.ShippedThrough);
        }
    }

    /// <summary>Once, until it is in step again.</summary>
    private void SayLate(Exception exception)
    {
        if (!_isLate)
        {
            LogLate(logger, exception, journal.Unshipped);
            _isLate = true;
        }
    }

    /// <summary>Takes up again where the ledger stands; what it has lost is read from the journal's file.</summary>
    private void GoBack_NeedsLock(long shippedThrough)
    {
        LogWentBack(logger, _acknowledged, shippedThrough);
        ReportGap(shippedThrough);
        _acknowledged = shippedThrough;
        Volatile.Write(ref _through, shippedThrough);
        // Last: it wakes the loop, which must find something to ship.
        journal.OnLedgerWentBack(shippedThrough);
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
            await database.WriteAsync(WriteLane.Ledger, t => batches.WriteAsync(t, batch, _acknowledged, CancellationToken.None), CancellationToken.None);
        }
        catch (Exception exception) when (IsRefusal(exception))
        {
            if (batch.Count > 1)
            {
                await WriteAsync([.. batch.Take(batch.Count / 2)]);
                await WriteAsync([.. batch.Skip(batch.Count / 2)]);
                return;
            }

            await QuarantineAsync(batch[0], exception);
        }

        _acknowledged = batch[^1].Seq;
        journal.OnShipped(batch[^1].Seq, batch.Count);
        Volatile.Write(ref _through, batch[^1].Seq);
    }

    /// <returns>How many were missing.</returns>
    private async Task<int> WriteAgainAsync(IReadOnlyList<JournaledCharge> batch)
    {
        try
        {
            return await database.WriteAsync(WriteLane.Ledger, t => batches.WriteAgainAsync(t, batch), CancellationToken.None);
        }
        catch (Exception exception) when (IsRefusal(exception))
        {
            if (batch.Count > 1)
            {
                return await WriteAgainAsync([.. batch.Take(batch.Count / 2)]) + await WriteAgainAsync([.. batch.Skip(batch.Count / 2)]);
            }

            await QuarantineAsync(batch[0], exception);
            return 1;
        }
    }

    private async Task QuarantineAsync(JournaledCharge refused, Exception exception)
    {
        await database.WriteAsync(WriteLane.Ledger, t => batches.QuarantineAsync(t, refused, exception.Message), CancellationToken.None);
        LogQuarantined(logger, exception, refused.Charge.Intent.AttemptId);
    }

    /// <summary>The row is to blame: sending it again would be refused again.</summary>
    private bool IsRefusal(Exception exception) => exception is OverflowException or ArgumentException || database.IsRefusal(exception);
}

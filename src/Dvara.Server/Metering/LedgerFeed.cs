using Dvara.Server.Hosting;
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
    Journal journal,
    JournalStanding standing,
    LedgerBatch batches,
    Database database,
    JournalOptions options,
    TimeProvider clock,
    SiloName silo,
    ProcessFailure failure,
    ILogger logger) : IDisposable
{
    private readonly SemaphoreSlim _gate = new(1);
    private volatile bool _isStarted;

    // Written under _gate. _acknowledged: the end of the last batch that the ledger has taken; _through may be further, where places
    // belong to notes.
    private long _through = standing.ShippedThrough;
    private long _acknowledged = standing.ShippedThrough;
    private bool _isLate;

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

    /// <summary>A silo without traffic finds out too that the ledger went back; with traffic the next batch does.</summary>
    /// <returns>False: not now, but another time.</returns>
    public Task<bool> TryWatchAsync() => TryAsync(async () =>
    {
        var found = await database.WriteAsync(
            WriteLane.Ledger,
            async transaction =>
            {
                await LedgerStore.NoteSeenAsync(transaction, journal.Id, standing.Epoch, clock.GetUtcNow(), journal.Unshipped);
                return await LedgerStore.ReadStandingAsync(transaction, journal.Id);
            },
            CancellationToken.None);
        if (found is null || found.Epoch < standing.Epoch || (found.Epoch == standing.Epoch && found.ShippedThrough < _acknowledged))
        {
            throw new LedgerWentBackException(found?.ShippedThrough ?? 0, forgotten: found?.Epoch != standing.Epoch);
        }

        _isLate &= journal.Unshipped > 0;
    });

    /// <summary>Tells where the journal no longer keeps all that a ledger lacks that stands at <paramref name="shippedThrough"/>.</summary>
    public void ReportGap(long shippedThrough)
    {
        if (journal.ReadPrunedThrough() is var pruned && pruned > shippedThrough)
        {
            LogLedgerGap(logger, shippedThrough, pruned);
        }
    }

    public void Dispose() => _gate.Dispose();

    /// <summary>
    /// Feeds to the ledger once more what the journal keeps, where its server or the server's timeline is not the one that the journal
    /// remembers. Batches go on between; given up, it begins anew next time.
    /// </summary>
    public async Task FeedAgainWhenMovedAsync(CancellationToken cancellationToken)
    {
        var (timeline, remembered) = ((string?)null, (string?)null);
        if (!await TryAsync(async () => (timeline, remembered) = (await database.ReadTimelineAsync(), journal.ReadTimeline())) || timeline is null || timeline == remembered)
        {
            return;
        }

        if (remembered is not null)
        {
            var (fed, missing, end) = (0, 0, Volatile.Read(ref _acknowledged));
            for (var after = 0L; after < end;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                IReadOnlyList<JournaledCharge> batch = [.. journal.ReadCharges(after, options.BatchMax).TakeWhile(charge => charge.Seq <= end)];
                if (batch.Count == 0)
                {
                    break;
                }

                if (!await TryAsync(async () => missing += await WriteAgainAsync(batch)))
                {
                    return;
                }

                (after, fed) = (batch[^1].Seq, fed + batch.Count);
            }

            LogFedAgain(logger, remembered, timeline, fed, missing);
        }

        await journal.RememberTimelineAsync(timeline);
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
            _gate.Release();
        }
    }

    /// <returns>False: not now, but another time.</returns>
    private async Task<bool> TryGoBackAsync(LedgerWentBackException lost)
    {
        if (lost.Forgotten)
        {
            try
            {
                await database.WriteAsync(
                    WriteLane.Ledger, t => LedgerStore.RegisterAgainAsync(t, journal.Id, silo.Name, standing.Epoch, clock.GetUtcNow()), CancellationToken.None);
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

            await database.WriteAsync(WriteLane.Ledger, t => batches.QuarantineAsync(t, batch[0], exception.Message), CancellationToken.None);
            LogQuarantined(logger, exception, batch[0].Charge.Intent.AttemptId);
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

            // It was in quarantine before.
            await database.WriteAsync(
                WriteLane.Ledger, t => LedgerStore.QuarantineAsync(t, journal.Id, batch[0], exception.Message, clock.GetUtcNow()), CancellationToken.None);
            return 0;
        }
    }

    /// <summary>The row is to blame: sending it again would be refused again.</summary>
    private bool IsRefusal(Exception exception) => exception is OverflowException or ArgumentException || database.IsRefusal(exception);
}

using Microsoft.Data.Sqlite;

namespace Dvara.Server.Metering;

/// <summary>
/// The one thread that writes the journal. Whatever is queued when a flush ends goes into the next transaction (group commit).
/// <code>
/// commit succeeds      everybody in the group is told
/// disk is full         the reserve is given up; notes and checkpoints are refused, charges tried again until they are durable
/// any other error      the process ends: after a failed flush the kernel may have dropped what it was given, so that nothing this
///                      process believes about its disk is true. What was not acknowledged is found, or not, at the next start
/// </code>
/// </summary>
internal sealed partial class JournalWriter : IDisposable
{
    private const int PruneChunk = 500;

    /// <summary>Pages of write-ahead log, roughly, between two checkpoints.</summary>
    private const int CheckpointPages = 2000;

    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(250);

    /// <summary>How long a stop waits for a full disk.</summary>
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(5);

    private readonly JournalStore _store;
    private readonly JournalReserve _reserve;
    private readonly TimeProvider _clock;
    private readonly Action<Exception> _fail;
    private readonly ILogger _logger;
    private readonly Thread _thread;
    private readonly object _gate = new();

    // Under _gate.
    private List<JournalWrite> _queue = [];
    private bool _closing;
    private long _closingSince;

    // The writer's own.
    private List<JournalWrite> _group = [];
    private int _logPages;

    private long _lastSeq;
    private long _commits;
    private int _queued;
    private long _shippedThrough;
    private volatile bool _failed;

    /// <param name="store">Opened; belongs to the caller.</param>
    /// <param name="reserve">Belongs to the writer's thread from now on.</param>
    /// <param name="clock">Stamps charges.</param>
    /// <param name="fail">Ends the process.</param>
    /// <param name="logger">Tells of full disks.</param>
    public JournalWriter(JournalStore store, JournalReserve reserve, TimeProvider clock, Action<Exception> fail, ILogger logger)
    {
        (_store, _reserve, _clock, _fail, _logger) = (store, reserve, clock, fail, logger);
        _lastSeq = store.LastSeq();
        _reserve.TryHold();
        _thread = new Thread(Run) { IsBackground = true, Name = "journal writer" };
        _thread.Start();
    }

    /// <summary>Transactions so far.</summary>
    public long Commits => Volatile.Read(ref _commits);

    /// <summary>Writes that wait or are under way.</summary>
    public int Queued => Volatile.Read(ref _queued);

    public bool HasRoom => _reserve.IsHeld && !_failed;

    /// <summary>Charges up to here may give way when the disk is full.</summary>
    public long ShippedThrough
    {
        get => Volatile.Read(ref _shippedThrough);
        set => Volatile.Write(ref _shippedThrough, value);
    }

    /// <summary>Numbers start behind <paramref name="seq"/> from now on.</summary>
    public void SkipTo(long seq)
    {
        lock (_gate)
        {
            _lastSeq = Math.Max(_lastSeq, seq);
        }
    }

    /// <returns>False: the journal is closed or broken.</returns>
    public bool TryQueue(JournalWrite write)
    {
        lock (_gate)
        {
            if (_closing || _failed)
            {
                return false;
            }

            _queue.Add(write);
            Interlocked.Increment(ref _queued);
            Monitor.Pulse(_gate);
            return true;
        }
    }

    /// <summary>Writes what is queued and ends.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _closing = true;
            _closingSince = TimeProvider.System.GetTimestamp();
            Monitor.PulseAll(_gate);
        }

        _thread.Join();
    }

    private void Run()
    {
        try
        {
            while (Take())
            {
                WriteGroup();
                KeepHouse();
            }
        }
        catch (Exception exception)
        {
            _failed = true;
            _fail(exception);
            RefuseTheRest(exception);
        }
    }

    /// <summary>Waits for work, or for the next look at a full disk.</summary>
    /// <returns>False: closed, and everything is written.</returns>
    private bool Take()
    {
        lock (_gate)
        {
            while (_queue.Count == 0)
            {
                if (_closing)
                {
                    return false;
                }

                if (!_reserve.IsHeld)
                {
                    Monitor.Wait(_gate, RetryInterval);
                    break;
                }

                Monitor.Wait(_gate);
            }

            (_queue, _group) = (_group, _queue);
            return true;
        }
    }

    /// <summary>The group in one transaction; on a full disk in smaller ones, because what fits can be shipped and then gives way to the rest.</summary>
    private void WriteGroup()
    {
        var size = _group.Count;
        _group.RemoveAll(static write => write.IsAbandoned());
        for (var part = _group.Count; _group.Count > 0;)
        {
            if (!TryWrite(part))
            {
                part = MakeRoom(part);
                continue;
            }

            for (var i = 0; i < part; i++)
            {
                _group[i].OnCommitted();
            }

            _group.RemoveRange(0, part);
            part = _group.Count;
        }

        Interlocked.Add(ref _queued, -size);
    }

    /// <param name="count">So many of the group, from its start.</param>
    private bool TryWrite(int count)
    {
        try
        {
            var now = _clock.GetUtcNow();
            _store.Begin();
            for (var i = 0; i < count; i++)
            {
                _group[i].Write(_store, ++_lastSeq, now);
            }

            _store.Commit();
            _logPages += 3 + count;
            Interlocked.Increment(ref _commits);
            return true;
        }
        catch (SqliteException exception) when (SqliteErrors.IsFull(exception))
        {
            _store.Rollback();
            return false;
        }
    }

    /// <summary>The disk is full: everything but charges is refused, and what can give way does.</summary>
    /// <returns>How many to try next.</returns>
    private int MakeRoom(int part)
    {
        var refusal = new JournalUnavailableException("The disk of the journal is full.");
        foreach (var write in _group.Where(w => !w.MustSucceed))
        {
            write.OnRefused(refusal);
        }

        _group.RemoveAll(static write => !write.MustSucceed);
        if (_reserve.IsHeld)
        {
            LogDiskFull(_logger);
            _reserve.GiveUp();
        }
        else if (!TryPruneShipped())
        {
            if (part > 1)
            {
                return Math.Min(part / 2, _group.Count);
            }

            WaitForRoom(refusal);
        }

        return Math.Min(part, _group.Count);
    }

    private void WaitForRoom(Exception refusal)
    {
        lock (_gate)
        {
            if (!_closing || TimeProvider.System.GetElapsedTime(_closingSince) < StopPatience)
            {
                Monitor.Wait(_gate, RetryInterval);
                return;
            }
        }

        LogChargesLeft(_logger, _group.Count);
        _group.ForEach(write => write.OnRefused(refusal));
        _group.Clear();
    }

    private void KeepHouse()
    {
        if (!_reserve.IsHeld)
        {
            TryPruneShipped();
            if (_reserve.TryHold())
            {
                LogRoomAgain(_logger);
            }
        }

        if (_logPages < CheckpointPages)
        {
            return;
        }

        try
        {
            _store.Checkpoint();
            _logPages = 0;
        }
        catch (SqliteException exception) when (SqliteErrors.IsFull(exception))
        {
            // The log keeps everything; the next group finds out whether it may grow.
        }
    }

    /// <summary>A full disk is dearer than a second copy of what the ledger has.</summary>
    private bool TryPruneShipped()
    {
        try
        {
            _store.Begin();
            var pruned = _store.Prune(ShippedThrough, PruneChunk);
            _store.Commit();
            return pruned > 0;
        }
        catch (SqliteException exception) when (SqliteErrors.IsFull(exception))
        {
            _store.Rollback();
            return false;
        }
    }

    /// <summary>Charges are left without an answer: nobody may take them for durable, and the process ends.</summary>
    private void RefuseTheRest(Exception cause)
    {
        var refusal = new JournalUnavailableException("The journal cannot be written.", cause);
        lock (_gate)
        {
            _group.AddRange(_queue);
            _queue.Clear();
        }

        foreach (var write in _group.Where(w => !w.MustSucceed))
        {
            write.OnRefused(refusal);
        }
    }

    [LoggerMessage(1, LogLevel.Error, "The disk of the journal is full: new requests are refused with 503, those in flight still settle. Make room; it resumes by itself.")]
    private static partial void LogDiskFull(ILogger logger);

    [LoggerMessage(2, LogLevel.Warning, "The journal has room again; requests are admitted.")]
    private static partial void LogRoomAgain(ILogger logger);

    [LoggerMessage(3, LogLevel.Critical, "The process stops while the disk is full: {Count} charges could not be written; their attempts will be unresolved.")]
    private static partial void LogChargesLeft(ILogger logger, int count);
}

using System.Collections.Concurrent;
using System.Threading.Channels;
using Dvara.Domain;
using Dvara.Domain.Metering;

namespace Dvara.Server.Metering;

/// <summary>
/// This silo's durable memory of its attempts. Every method ends when what it wrote is on disk (group commit).
/// Fails closed: a journal that cannot write admits nothing.
/// </summary>
internal sealed class Journal : IDisposable
{
    private readonly JournalStore _store;
    private readonly JournalWriter _writer;
    private readonly JournalOptions _options;
    private readonly TimeProvider _clock;
    private readonly RecentCharges _recent;
    private readonly ConcurrentDictionary<AttemptId, OpenAttempt> _open = new();

    // Holds a mark while there are charges that the ledger writer has not looked at.
    private readonly Channel<bool> _charged = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private int _unshipped;
    private long _lastChargeSeq;

    private Journal(JournalStore store, JournalWriter writer, JournalOptions options, TimeProvider clock)
    {
        (_store, _writer, _options, _clock) = (store, writer, options, clock);
        _recent = new RecentCharges(options.RecentMax, store.LastSeq());
        _lastChargeSeq = store.LastSeq();
    }

    /// <summary>False: new requests are refused with 503 <c>ledger_unavailable</c>; those in flight still settle.</summary>
    public bool Admits => _writer.HasRoom && Unshipped < _options.UnshippedMax && _writer.Queued < _options.QueueMax;

    public JournalId Id => _store.Id;

    /// <summary>Charges that the ledger has not taken yet.</summary>
    public int Unshipped => Volatile.Read(ref _unshipped);

    /// <summary>Attempts that have no charge yet.</summary>
    public int OpenAttempts => _open.Count;

    /// <summary>The place of the newest durable charge.</summary>
    public long LastChargeSeq => Volatile.Read(ref _lastChargeSeq);

    /// <summary>Transactions so far; fewer than writes, because writes share them.</summary>
    public long Commits => _writer.Commits;

    /// <summary>How long the oldest charge in memory that the ledger does not have has waited; zero: none.</summary>
    public TimeSpan ShipLag => _recent.OldestAfter(_writer.ShippedThrough) is { } oldest ? _clock.GetUtcNow() - oldest.WrittenAt : TimeSpan.Zero;

    /// <summary>Opens the file beside its reserve, or makes both.</summary>
    /// <param name="path">The SQLite file.</param>
    /// <param name="options">Bounds.</param>
    /// <param name="clock">Stamps charges.</param>
    /// <param name="fail">Ends the process after a failed write or flush; must not return in production.</param>
    /// <param name="logger">Tells of full disks.</param>
    /// <exception cref="JournalDamagedException">The file is there and cannot be trusted.</exception>
    public static Journal Open(string path, JournalOptions options, TimeProvider clock, Action<Exception> fail, ILogger<Journal> logger)
    {
        var store = JournalStore.Open(path);
        try
        {
            var reserve = new JournalReserve(store, path + ".reserve", options.FileBytesMax, options.ReserveBytes);
            return new(store, new JournalWriter(store, reserve, clock, fail, logger), options, clock);
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    /// <summary>(4) The attempt is about to happen. Cancelled means: not noted. Once it is being written, it is waited for.</summary>
    /// <exception cref="JournalUnavailableException">It could not be noted; nothing may be dispatched.</exception>
    /// <exception cref="InvalidOperationException">The attempt has been noted before.</exception>
    public Task NoteAsync(Intent intent, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled(cancellationToken);
        }

        if (!Admits)
        {
            return Task.FromException(new JournalUnavailableException("The journal admits nothing: its disk is full or the ledger is too far behind."));
        }

        // Made before the attempt counts as open: what cannot be encoded leaves nothing behind.
        var attempt = new OpenAttempt(intent);
        var note = new NoteWrite(_open, attempt, cancellationToken);
        if (!_open.TryAdd(intent.AttemptId, attempt))
        {
            throw new InvalidOperationException($"Attempt {intent.AttemptId} is noted twice.");
        }

        if (!_writer.TryQueue(note))
        {
            note.OnRefused(Closed());
        }

        return note.Task;
    }

    /// <summary>
    /// What an open stream has delivered so far; bounds what a crash leaves unknown. Not waited for by the stream; left out, without an
    /// error, where the attempt has ended or the journal is short of room.
    /// </summary>
    public Task CheckpointAsync(AttemptId attempt, TokenUsage soFar)
    {
        if (!_open.TryGetValue(attempt, out var open) || open.IsEnding || !Admits)
        {
            return Task.CompletedTask;
        }

        var checkpoint = new CheckpointWrite(open, soFar);
        return _writer.TryQueue(checkpoint) ? checkpoint.Task : Task.CompletedTask;
    }

    /// <summary>(7) The attempt's end, or a correction of one. Never cancelled: the money is spent. Outlasts a full disk.</summary>
    /// <returns>The charge's place.</returns>
    /// <exception cref="InvalidOperationException">The attempt was never noted, or has its charge already.</exception>
    /// <exception cref="JournalUnavailableException">The process is ending; the next one will call the attempt unresolved.</exception>
    public Task<long> SettleAsync(Charge charge)
    {
        OpenAttempt? attempt = null;
        if (charge.Revision == 0 && (!_open.TryGetValue(charge.Intent.AttemptId, out attempt) || !attempt.TryEnd()))
        {
            throw new InvalidOperationException($"Attempt {charge.Intent.AttemptId} was never noted, or is charged twice.");
        }

        var write = new ChargeWrite(this, attempt, charge);
        return _writer.TryQueue(write) ? write.PlacedAsync() : Task.FromException<long>(Closed());
    }

    /// <summary>
    /// Takes up where the ledger says that the last process stopped. Call it once, before anything is noted.
    /// </summary>
    /// <returns>The attempts that the last process left open; they are this one's to settle.</returns>
    public IReadOnlyList<OpenIntent> Resume(long shippedThrough)
    {
        _writer.SkipTo(shippedThrough);
        _writer.ShippedThrough = shippedThrough;
        Interlocked.Add(ref _unshipped, _store.CountCharges(shippedThrough));
        var left = _store.ReadOpen();
        foreach (var open in left)
        {
            _open[open.Intent.AttemptId] = new OpenAttempt(open.Intent) { Seq = open.Seq };
        }

        return left;
    }

    /// <summary>Charges up to here are no longer in the file: a ledger that has less than that has a gap.</summary>
    public long ReadPrunedThrough() => _store.PrunedThrough();

    /// <summary>The timeline of the ledger's server that had everything of the journal; null: none is known.</summary>
    public string? ReadTimeline() => _store.Timeline();

    /// <summary>What <see cref="ReadTimeline"/> says from now on, after a restart too; left out where the journal is short of room.</summary>
    public Task RememberTimelineAsync(string timeline)
    {
        var write = new TimelineWrite(timeline);
        return _writer.TryQueue(write) ? write.Task : Task.CompletedTask;
    }

    /// <summary>Ends when a charge has become durable since the last call ended.</summary>
    public async Task WaitForChargesAsync(CancellationToken cancellationToken) => await _charged.Reader.ReadAsync(cancellationToken);

    /// <summary>Charges behind <paramref name="after"/>, in order: from memory, or from the file where memory does not reach back.</summary>
    /// <exception cref="JournalDamagedException">The file cannot be trusted.</exception>
    public IReadOnlyList<JournaledCharge> ReadCharges(long after, int limit) =>
        after >= LastChargeSeq ? [] : _recent.ReadAfter(after, limit) ?? _store.ReadCharges(after, limit);

    /// <summary>The ledger has <paramref name="count"/> more charges, up to <paramref name="through"/>.</summary>
    public void OnShipped(long through, int count)
    {
        _writer.ShippedThrough = through;
        Interlocked.Add(ref _unshipped, -count);
    }

    /// <summary>The ledger has lost what it had taken behind <paramref name="shippedThrough"/>: that waits again, and is not deleted.</summary>
    public void OnLedgerWentBack(long shippedThrough)
    {
        _writer.ShippedThrough = shippedThrough;
        Interlocked.Add(ref _unshipped, _store.CountCharges(shippedThrough) - Unshipped);
        // A silo without traffic would ship it at its next call only.
        _charged.Writer.TryWrite(true);
    }

    /// <summary>Deletes charges up to <paramref name="through"/>, as far as they are shipped.</summary>
    public async Task PruneAsync(long through)
    {
        PruneWrite prune;
        do
        {
            prune = new PruneWrite(Math.Min(through, _writer.ShippedThrough));
            if (!_writer.TryQueue(prune))
            {
                return;
            }

            await prune.Task;
        }
        while (prune.IsMoreLeft);
    }

    /// <summary>Writes what is queued, then closes the file.</summary>
    public void Dispose()
    {
        _writer.Dispose();
        _store.Dispose();
    }

    private static JournalUnavailableException Closed() => new("The journal is closed: the process is ending.");

    private sealed class NoteWrite(ConcurrentDictionary<AttemptId, OpenAttempt> open, OpenAttempt attempt, CancellationToken cancellationToken)
        : JournalWrite
    {
        private readonly byte[] _body = JournalEntry.Encode(attempt.Intent);

        public override bool IsAbandoned()
        {
            if (!cancellationToken.IsCancellationRequested)
            {
                return false;
            }

            open.TryRemove(attempt.Intent.AttemptId, out _);
            TrySetCanceled(cancellationToken);
            return true;
        }

        public override void Write(JournalStore store, long seq, DateTimeOffset now)
        {
            attempt.Seq = seq;
            store.AddIntent(seq, _body);
        }

        public override void OnRefused(Exception reason)
        {
            open.TryRemove(attempt.Intent.AttemptId, out _);
            base.OnRefused(reason);
        }
    }

    private sealed class CheckpointWrite(OpenAttempt attempt, TokenUsage soFar) : JournalWrite
    {
        private readonly byte[] _body = JournalEntry.Encode(soFar);

        public override void Write(JournalStore store, long seq, DateTimeOffset now) => store.SetDelivered(attempt.Seq, _body);

        public override void OnRefused(Exception reason) => TrySetResult();
    }

    private sealed class ChargeWrite(Journal journal, OpenAttempt? attempt, Charge charge) : JournalWrite
    {
        private readonly byte[] _body = JournalEntry.Encode(charge);
        private long _seq;
        private DateTimeOffset _at;

        public override bool MustSucceed => true;

        public async Task<long> PlacedAsync()
        {
            await Task;
            return _seq;
        }

        public override void Write(JournalStore store, long seq, DateTimeOffset now)
        {
            (_seq, _at) = (seq, now);
            store.AddCharge(seq, now, _body, attempt?.Seq);
        }

        public override void OnCommitted()
        {
            if (attempt is not null)
            {
                journal._open.TryRemove(charge.Intent.AttemptId, out _);
            }

            journal._recent.Add(new JournaledCharge(_seq, _at, charge));
            Interlocked.Increment(ref journal._unshipped);
            Volatile.Write(ref journal._lastChargeSeq, _seq);
            journal._charged.Writer.TryWrite(true);
            base.OnCommitted();
        }
    }

    private sealed class TimelineWrite(string timeline) : JournalWrite
    {
        public override void Write(JournalStore store, long seq, DateTimeOffset now) => store.SetTimeline(timeline);

        public override void OnRefused(Exception reason) => TrySetResult();
    }

    private sealed class PruneWrite(long through) : JournalWrite
    {
        private const int Chunk = 500;

        public bool IsMoreLeft { get; private set; }

        public override void Write(JournalStore store, long seq, DateTimeOffset now) => IsMoreLeft = store.Prune(through, Chunk) == Chunk;

        public override void OnRefused(Exception reason) => TrySetResult();
    }
}

/// <summary>The journal cannot take new work (full disk, failed write); transient unless the process stops.</summary>
internal sealed class JournalUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

using System.Globalization;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Time;

namespace Dvara.Server.Budgets;

/// <summary>This silo's part of one cap's period: its slice, and what it remembers of it between two looks at the database.</summary>
internal sealed class CapLease(Cap cap, TimeWindow period)
{
    private readonly Lock _gate = new();
    private volatile Cap _cap = cap;
    private Task<LeaseAnswer?>? _ask;
    private Usd _askedLeast;
    private TaskCompletionSource _change = NewChange();
    private (GrantOutcome Outcome, Usd Least, long Until) _refusal = (GrantOutcome.Granted, default, long.MinValue);
    private Int128 _heldSinceTick;
    private Int128 _beyond;
    private Usd _rate;
    private long _refused;
    private int _queued;
    private long _lastHeld = Ticks.Now;
    private volatile KnownFigures _known = new(new(cap.Limit, Usd.Zero, Usd.Zero, Usd.Zero));

    /// <summary>The newest version of the cap that this silo knows. Written by the feed.</summary>
    public Cap Cap
    {
        get => _cap;
        set => _cap = value;
    }

    public TimeWindow Period => period;

    /// <summary>The period's end, for headers and messages.</summary>
    public string ResetsAt => field ??= period.To.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    public Slice Slice { get; } = new();

    /// <summary>True once the slice has begun from a ledger that has every charge made before it. Written under an ask.</summary>
    public bool IsSeeded { get; set; }

    /// <summary>Attempts that need more than there is here at once.</summary>
    public int Waiting;

    /// <summary>Of them, one that is going to wait for running calls to end.</summary>
    /// <returns>False: <paramref name="max"/> wait already.</returns>
    public bool TryQueue(int max)
    {
        if (Interlocked.Increment(ref _queued) <= max)
        {
            return true;
        }

        LeaveQueue();
        return false;
    }

    public void LeaveQueue() => Interlocked.Decrement(ref _queued);

    /// <summary>How the period stood when the database was last asked: for headers and messages, not for decisions.</summary>
    public KnownFigures Known
    {
        get => _known;
        set => _known = value;
    }

    /// <summary>Ends when something has been given back since it was read.</summary>
    public Task Change => Volatile.Read(ref _change).Task;

    /// <summary>Monotonic timestamp of the last hold.</summary>
    public long LastHeld => Volatile.Read(ref _lastHeld);

    /// <summary>What running attempts can cost beyond their holds: by so much the limit of an elastic cap may be exceeded.</summary>
    public Usd Beyond
    {
        get
        {
            lock (_gate)
            {
                return new(_beyond);
            }
        }
    }

    public bool TryHold(in HoldPart part, long now)
    {
        if (_cap.Limit == Usd.Zero || !Slice.TryHold(part.Amount, now))
        {
            return false;
        }

        lock (_gate)
        {
            _heldSinceTick += part.Amount.PicoUsd;
            _beyond += part.Beyond.PicoUsd;
        }

        Volatile.Write(ref _lastHeld, now);
        return true;
    }

    /// <summary>Takes a hold back that was of no use, because another cap had no room. Nobody is woken for it.</summary>
    public void Undo(in HoldPart part)
    {
        Slice.Release(part.Amount);
        lock (_gate)
        {
            _heldSinceTick -= part.Amount.PicoUsd;
            _beyond -= part.Beyond.PicoUsd;
        }
    }

    public bool CanHold(Usd amount, long now) => _cap.Limit != Usd.Zero && Slice.CanHold(amount, now);

    public void Release(in HoldPart part)
    {
        Slice.Release(part.Amount);
        OnEnd(part);
    }

    public void Settle(in HoldPart part, Usd cost, long seq)
    {
        Slice.Settle(part.Amount, cost, seq);
        OnEnd(part);
    }

    public void Expose(in HoldPart part, long seq)
    {
        Slice.Expose(part.Amount, seq);
        OnEnd(part);
    }

    /// <summary>Wakes whoever waits for money of this cap.</summary>
    public void OnChange()
    {
        if (Volatile.Read(ref Waiting) > 0)
        {
            Interlocked.Exchange(ref _change, NewChange()).TrySetResult();
        }
    }

    /// <summary>One ask at a time: who comes meanwhile shares its answer.</summary>
    /// <returns>The answer, and the smallest hold that was asked for: a refusal of more than that says nothing about less.</returns>
    public (Task<LeaseAnswer?> Answer, Usd Least) AskOnce(Usd least, Func<Task<LeaseAnswer?>> ask)
    {
        lock (_gate)
        {
            if (_ask is not { IsCompleted: false })
            {
                (_ask, _askedLeast) = (ask(), least);
            }

            return (_ask, _askedLeast);
        }
    }

    /// <summary>The database has just said that so little does not fit; it need not be asked again at once.</summary>
    public void NoteRefusal(GrantOutcome outcome, Usd least, long until)
    {
        lock (_gate)
        {
            _refusal = (outcome, least, until);
        }
    }

    /// <returns>What is known to become of an ask for at least <paramref name="least"/>; null: nothing is.</returns>
    public GrantOutcome? KnownRefusal(Usd least, long now)
    {
        lock (_gate)
        {
            return now < _refusal.Until && least >= _refusal.Least ? _refusal.Outcome : null;
        }
    }

    /// <summary>Nothing is held until the database has been asked: limit or mode may have changed.</summary>
    public void Expire()
    {
        Slice.Expire();
        lock (_gate)
        {
            _refusal.Until = long.MinValue;
        }
    }

    /// <summary>What the lease's row says of <see cref="Beyond"/>. The watch's own.</summary>
    public Usd? BeyondTold { get; set; }

    /// <summary>Calls that were refused and that the lease's row does not say yet.</summary>
    public long Refused => Volatile.Read(ref _refused);

    public void OnRefused() => Interlocked.Increment(ref _refused);

    public void OnRefusedTold(long count) => Interlocked.Add(ref _refused, -count);

    /// <summary>What is held per second here, smoothed.</summary>
    /// <param name="milliseconds">Since the last call.</param>
    public Usd MeasureRate(long milliseconds)
    {
        lock (_gate)
        {
            var now = _heldSinceTick * 1000 / Math.Max(milliseconds, 1);
            _heldSinceTick = 0;
            return _rate = new((_rate.PicoUsd + now) / 2);
        }
    }

    public Usd Rate
    {
        get
        {
            lock (_gate)
            {
                return _rate;
            }
        }
    }

    private void OnEnd(in HoldPart part)
    {
        if (part.Beyond != Usd.Zero)
        {
            lock (_gate)
            {
                _beyond -= part.Beyond.PicoUsd;
            }
        }

        OnChange();
    }

    private static TaskCompletionSource NewChange() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

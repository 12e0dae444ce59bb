namespace Dvara.Domain.Budgets;

/// <summary>A lease as the database has it, with how far the ledger had come at the same moment.</summary>
/// <param name="Granted">The lease.</param>
/// <param name="Number">The ask that made it what it is; later ones have higher numbers.</param>
/// <param name="Settled">What the ledger has charged to it.</param>
/// <param name="Exposed">Holds of its attempts whose outcome is unknown.</param>
/// <param name="ShippedThrough">The journal's charges up to here are in the ledger.</param>
public readonly record struct LeaseState(Usd Granted, long Number, Usd Settled, Usd Exposed, long ShippedThrough);

/// <summary>
/// What one silo may still spend of one cap's period. Holds come out of it without asking anybody. Fails closed: it knows at most what the
/// database has granted, and at least what has been used.
/// <code>
/// free = granted - held - pending - settled - exposed
///        held      holds of running attempts                              known here
///        pending   charges and exposures in the journal, not yet shipped  known here
///        settled, exposed                                                 as the ledger had them when it was last read
/// </code>
/// </summary>
/// <remarks>
/// Thread-safe. A charge moves from pending to settled when a state is read that covers its place in the journal, so nothing is counted
/// twice and nothing is forgotten, whoever else corrects the ledger meanwhile.
/// </remarks>
public sealed class Slice
{
    /// <summary>No time: nothing is held before the next ask is answered.</summary>
    public const long Never = long.MinValue;

    private readonly Lock _gate = new();
    private readonly List<Pending> _pending = [];
    private Int128 _granted;
    private Int128 _settled;
    private Int128 _exposed;
    private Int128 _held;
    private Int128 _pendingSum;
    private long _shippedThrough = -1;
    private long _usableUntil = Never;

    // Rows of earlier asks are out of date; at the start, and after Expire, all are.
    private long _believedFrom = long.MaxValue;

    /// <summary>What can be held at once; negative where more was used than granted.</summary>
    public Usd Free
    {
        get
        {
            lock (_gate)
            {
                return new(Free_NeedsLock);
            }
        }
    }

    /// <summary>Holds of attempts that are still running.</summary>
    public Usd Held
    {
        get
        {
            lock (_gate)
            {
                return new(_held);
            }
        }
    }

    /// <summary>Held, charged or exposed, as far as it is known here.</summary>
    public Usd Used
    {
        get
        {
            lock (_gate)
            {
                return new(Used_NeedsLock);
            }
        }
    }

    private Int128 Free_NeedsLock => _granted - Used_NeedsLock;

    private Int128 Used_NeedsLock => _held + Spent_NeedsLock;

    private Int128 Spent_NeedsLock => _pendingSum + _settled + _exposed;

    /// <summary>Sets <paramref name="amount"/> aside for an attempt.</summary>
    /// <param name="amount">The hold.</param>
    /// <param name="now">A monotonic timestamp, in the unit of <see cref="Apply"/>.</param>
    /// <returns>False: it is too small, or its time is over; ask for more.</returns>
    public bool TryHold(Usd amount, long now)
    {
        lock (_gate)
        {
            if (!CanHold_NeedsLock(amount, now))
            {
                return false;
            }

            _held += amount.PicoUsd;
            return true;
        }
    }

    /// <summary>True where <see cref="TryHold"/> would succeed now.</summary>
    public bool CanHold(Usd amount, long now)
    {
        lock (_gate)
        {
            return CanHold_NeedsLock(amount, now);
        }
    }

    /// <summary>The attempt did not happen, or nothing was billed for it.</summary>
    public void Release(Usd hold)
    {
        lock (_gate)
        {
            _held -= hold.PicoUsd;
        }
    }

    /// <summary>The attempt has its charge; the rest of the hold is free again.</summary>
    /// <param name="hold">What was held for it; zero for an attempt that began before the cap was known here.</param>
    /// <param name="cost">What it costs.</param>
    /// <param name="seq">The charge's place in the journal.</param>
    public void Settle(Usd hold, Usd cost, long seq) => End(hold, new Pending(seq, cost.PicoUsd));

    /// <summary>Nobody knows what the attempt costs: its hold stays.</summary>
    /// <param name="hold">What was held for it.</param>
    /// <param name="seq">The charge's place in the journal.</param>
    public void Expose(Usd hold, long seq) => End(hold, new Pending(seq, hold.PicoUsd));

    /// <summary>
    /// Begins an ask. No earlier row raises the slice from now on, answer or not: an ask that seems lost may still arrive, and undo what the
    /// row said before it.
    /// </summary>
    /// <param name="number">Higher than that of every ask before it of the same journal.</param>
    /// <param name="mayLower">True: what is free is given up. Where nothing may be held it is in any case.</param>
    public (Usd Used, Usd Spent, Usd Keep) Ask(long number, bool mayLower)
    {
        lock (_gate)
        {
            _believedFrom = number;
            if (mayLower || _usableUntil == Never)
            {
                // Given up before it is asked: were the answer lost, the database would have taken it back and nobody here would know.
                _granted = Int128.Min(_granted, Used_NeedsLock);
            }

            return (new(Used_NeedsLock), new(Spent_NeedsLock), new(_granted));
        }
    }

    /// <summary>Takes over what the database says.</summary>
    /// <param name="state">Read in one moment.</param>
    /// <param name="usableUntil">Monotonic timestamp after which it must be confirmed before more is held; <see cref="Never"/>: at once.</param>
    /// <param name="isAnswer">True: it answers the last ask, so it knows the limit. What is read only prolongs what such an answer began.</param>
    public void Apply(in LeaseState state, long usableUntil, bool isAnswer)
    {
        lock (_gate)
        {
            // A ledger that lost commits stands before what was seen; it will come there again.
            if (state.ShippedThrough >= _shippedThrough)
            {
                (_settled, _exposed, _shippedThrough) = (state.Settled.PicoUsd, state.Exposed.PicoUsd, state.ShippedThrough);
                ForgetShipped_NeedsLock();
            }

            if (state.Number < _believedFrom)
            {
                // Read before the last ask, or the database has lost it: the smaller one is safe, and a later row tells.
                _granted = Int128.Min(_granted, state.Granted.PicoUsd);
                return;
            }

            _granted = state.Granted.PicoUsd;
            if (isAnswer || _usableUntil != Never)
            {
                _usableUntil = usableUntil;
            }
        }
    }

    /// <summary>Nothing more is held until a later ask is answered: the limit may have changed.</summary>
    public void Expire()
    {
        lock (_gate)
        {
            (_usableUntil, _believedFrom) = (Never, long.MaxValue);
        }
    }

    /// <summary>What costs nothing always fits.</summary>
    private bool CanHold_NeedsLock(Usd amount, long now) => amount == Usd.Zero || (now < _usableUntil && Free_NeedsLock >= amount.PicoUsd);

    private void End(Usd hold, Pending pending)
    {
        lock (_gate)
        {
            _held -= hold.PicoUsd;
            // Shipped and read before this could be told: counted already.
            if (pending.Seq > _shippedThrough)
            {
                _pending.Add(pending);
                _pendingSum += pending.Amount;
            }
        }
    }

    private void ForgetShipped_NeedsLock()
    {
        foreach (var pending in _pending)
        {
            _pendingSum -= pending.Seq <= _shippedThrough ? pending.Amount : 0;
        }

        _pending.RemoveAll(pending => pending.Seq <= _shippedThrough);
    }

    private readonly record struct Pending(long Seq, Int128 Amount);
}

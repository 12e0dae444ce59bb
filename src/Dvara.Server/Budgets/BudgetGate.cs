using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Metering;

namespace Dvara.Server.Budgets;

/// <summary>
/// (3) Sets money aside for an attempt in every cap that it falls under: all or nothing. Fails closed: where nobody can say what is left, the
/// attempt is not made.
/// </summary>
/// <remarks>In steady state it asks nobody: the money is in this silo's slices. Only what does not fit waits, for a grant or for calls to end.</remarks>
internal sealed class BudgetGate(
    CapBookState caps, CapLeases leases, LeaseAsker asker, UsualCosts usual, BudgetOptions options, TimeProvider clock)
{
    /// <summary>Output tokens below which a clamped answer is of no use to anybody.</summary>
    public const long ClampMin = 256;

    /// <summary>How often in a row a call asks at once again, because others took what it was granted.</summary>
    private const int OvertakenMax = 20;

    /// <summary>How soon a call that waits looks again, though nothing has ended here: other silos give back without telling.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(100);

    /// <summary>For how long the database's word is taken that nothing is left, or that all of it is held.</summary>
    private static readonly TimeSpan ExhaustedFor = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan HeldFor = TimeSpan.FromMilliseconds(50);

    /// <summary>Seconds of a silo's recent use that it fetches ahead.</summary>
    public const int AheadSeconds = 4;

    /// <summary>Holds that it fetches ahead at least: calls that come before its rate is known, or while nobody can be asked.</summary>
    private const int AheadHolds = 8;

    /// <summary>False: there is no cap at all, and nothing to ask for.</summary>
    public bool HasCaps => !caps.Current.IsEmpty;

    /// <summary>The hold of an attempt that needs none. It still ends with a charge: a cap may come to be known while it runs.</summary>
    public Hold Nothing(in CapScope scope) => new(this, scope, clock.GetUtcNow(), [], null, null);

    /// <param name="request">The attempt.</param>
    /// <param name="cancellationToken">The client has left; nothing stays held.</param>
    public ValueTask<HoldDecision> HoldAsync(HoldRequest request, CancellationToken cancellationToken)
    {
        var at = clock.GetUtcNow();
        var (matching, book) = MatchIn(caps.Current, request.Scope, at);
        if (matching.Length == 0 && request.PerCallMax is null)
        {
            return new(HoldDecision.Admit(new Hold(this, request.Scope, at, [], book, null)));
        }

        if (request.Bound is not { } bound)
        {
            return new(HoldDecision.Refuse(HoldRefusal.Unpriced));
        }

        return WithinCeiling(request, Terms.Of(request, bound, CapsOf(matching))) is { } terms && TryHold(request, matching, book, terms, at) is { } hold
            ? new(HoldDecision.Admit(hold))
            : WaitAsync(request, bound, cancellationToken);
    }

    /// <summary>A charge of this silo, in the caps that it had no hold in: they came to be known here while its attempt ran, or are disabled.</summary>
    /// <param name="scope">The attempt's.</param>
    /// <param name="at">Its intent time.</param>
    /// <param name="held">What it held.</param>
    /// <param name="heldIn">The caps by which it had a hold wherever it needed one; null: it is to be looked up.</param>
    /// <param name="charge">What it costs.</param>
    /// <param name="seq">The charge's place in the journal.</param>
    public void OnCharged(in CapScope scope, DateTimeOffset at, HoldPart[] held, CapBook? heldIn, Charge charge, long seq)
    {
        if (Array.Exists(held, part => part.Lease.Cap.Mode == CapMode.Elastic))
        {
            usual.Note(scope, charge);
        }

        var book = caps.Current;
        if (book.IsEmpty || ReferenceEquals(book, heldIn) || charge.Cost.Total == Usd.Zero)
        {
            return;
        }

        var matching = new List<Cap>();
        book.Match(scope, matching);
        foreach (var cap in matching)
        {
            if (!Array.Exists(held, part => part.Lease.Cap.Id == cap.Id) && leases.FindAt(cap, at) is { } lease)
            {
                lease.Settle(new(lease, Usd.Zero, Usd.Zero), charge.Cost.Total, seq);
            }
        }
    }

    /// <summary>The leases of all caps in force that an attempt falls under now.</summary>
    public CapLease[] Match(in CapScope scope, DateTimeOffset at) => MatchIn(caps.Current, scope, at).Leases;

    /// <returns>The leases; and the book, where no disabled cap is left out.</returns>
    private (CapLease[] Leases, CapBook? Whole) MatchIn(CapBook book, in CapScope scope, DateTimeOffset at)
    {
        if (book.IsEmpty)
        {
            return ([], book);
        }

        var matching = new List<Cap>(4);
        book.Match(scope, matching);
        var isWhole = matching.RemoveAll(static cap => !cap.Enabled) == 0;
        var found = new CapLease[matching.Count];
        for (var i = 0; i < found.Length; i++)
        {
            found[i] = leases.At(matching[i], at);
        }

        return (found, isWhole ? book : null);
    }

    /// <summary>Holds everywhere, or nowhere.</summary>
    private Hold? TryHold(HoldRequest request, CapLease[] matching, CapBook? book, in Terms terms, DateTimeOffset at)
    {
        var now = Ticks.Now;
        var parts = matching.Length == 0 ? [] : new HoldPart[matching.Length];
        for (var i = 0; i < parts.Length; i++)
        {
            var amount = AmountOf(request, matching[i], terms.Full);
            var part = new HoldPart(matching[i], amount, terms.Full - amount);
            if (!matching[i].TryHold(part, now))
            {
                while (--i >= 0)
                {
                    parts[i].Lease.Undo(parts[i]);
                }

                return null;
            }

            parts[i] = part;
        }

        return new Hold(this, request.Scope, at, parts, book, terms.SentLimit);
    }

    /// <summary>A strict cap sets the bound aside; an elastic one what such a call usually costs, or what is left of it.</summary>
    private Usd AmountOf(HoldRequest request, CapLease lease, Usd strict)
    {
        if (lease.Cap.Mode == CapMode.Strict)
        {
            return strict;
        }

        var wanted = Min(usual.Of(request.Scope) ?? strict, strict);
        var free = lease.Slice.Free;
        return free > Usd.Zero ? Min(wanted, free) : wanted;
    }

    private async ValueTask<HoldDecision> WaitAsync(HoldRequest request, AttemptBound bound, CancellationToken cancellationToken)
    {
        var started = Ticks.Now;
        var isTight = request.Tighter is null;
        var overtaken = 0;
        CapLease[] matching = [];
        CapLease? queue = null;
        try
        {
            while (true)
            {
                // Anew each time: caps come and go, and a wait may lead into the next period.
                var (found, book) = MatchIn(caps.Current, request.Scope, clock.GetUtcNow());
                matching = WaitFor(found, matching);
                if (WithinCeiling(request, Terms.Of(request, bound, CapsOf(matching))) is not { } terms)
                {
                    if (isTight)
                    {
                        return HoldDecision.Refuse(HoldRefusal.PerCall);
                    }

                    (bound, isTight) = (request.Tighter!(), true);
                    continue;
                }

                var change = WhenAnyChanges(matching);
                var (obstacle, refusal) = await FetchAsync(request, terms, matching, isTight);
                if (refusal == HoldRefusal.Unavailable)
                {
                    return HoldDecision.Refuse(HoldRefusal.Unavailable);
                }

                var at = clock.GetUtcNow();
                if (!Array.TrueForAll(matching, lease => lease.Period.Contains(at)))
                {
                    continue;
                }

                if (TryHold(request, matching, book, terms, at) is { } whole)
                {
                    return HoldDecision.Admit(whole);
                }

                if (!isTight)
                {
                    (bound, isTight) = (request.Tighter!(), true);
                    continue;
                }

                if (FreeOf(matching) is { } free && terms.Within(free) is { } cut && TryHold(request, matching, book, cut, at) is { } clamped)
                {
                    return HoldDecision.Admit(clamped);
                }

                if (obstacle is null)
                {
                    // Somebody else was quicker: what was granted is held by another call by now. There may well be more.
                    if (overtaken++ < OvertakenMax)
                    {
                        continue;
                    }

                    (obstacle, refusal) = (matching[0], HoldRefusal.Held);
                }

                var waited = Ticks.Since(started).TotalMilliseconds;
                if (refusal == HoldRefusal.Exhausted || waited >= obstacle.Cap.HoldWaitMs || (queue is null && !obstacle.TryQueue(options.WaitingMax)))
                {
                    obstacle.OnRefused();
                    return HoldDecision.Refuse(
                        refusal == HoldRefusal.Exhausted && obstacle.Cap.IsExceededBy(terms.Least) ? HoldRefusal.TooLarge : refusal!.Value, obstacle);
                }

                queue ??= obstacle;

                await Task.WhenAny(change, Task.Delay(LookAgain, TimeProvider.System, cancellationToken));
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
        finally
        {
            WaitFor([], matching);
            queue?.LeaveQueue();
        }
    }

    /// <summary>Counts a call among those that wait for money of <paramref name="leases"/>, and no longer of <paramref name="before"/>.</summary>
    private static CapLease[] WaitFor(CapLease[] leases, CapLease[] before)
    {
        foreach (var lease in leases)
        {
            Interlocked.Increment(ref lease.Waiting);
        }

        foreach (var lease in before)
        {
            Interlocked.Decrement(ref lease.Waiting);
        }

        return leases;
    }

    /// <summary>Asks for every slice that is too small.</summary>
    /// <param name="isTight">False: the bound may turn out smaller, so nothing is known not to fit.</param>
    /// <returns>The cap that stands in the way, and how; null: each of them had, or has been granted, enough.</returns>
    private async Task<(CapLease? Obstacle, HoldRefusal? Refusal)> FetchAsync(HoldRequest request, Terms terms, CapLease[] matching, bool isTight)
    {
        (CapLease? Obstacle, HoldRefusal? Refusal) found = default;
        foreach (var lease in matching)
        {
            var isElastic = lease.Cap.Mode == CapMode.Elastic;
            var need = isElastic ? Min(usual.Of(request.Scope) ?? terms.Full, terms.Full) : terms.Full;
            var least = isElastic || !isTight ? Min(Usd.FromPico(1), need) : terms.Least;
            if (await FetchAsync(lease, need, least) is { } refusal)
            {
                found = (lease, refusal);
                if (refusal != HoldRefusal.Held)
                {
                    break;
                }
            }
        }

        return found;
    }

    private async Task<HoldRefusal?> FetchAsync(CapLease lease, Usd need, Usd least)
    {
        var now = Ticks.Now;
        if (lease.CanHold(need, now))
        {
            return null;
        }

        if (lease.KnownRefusal(least, now) is { } known)
        {
            return known == GrantOutcome.Exhausted ? HoldRefusal.Exhausted : HoldRefusal.Held;
        }

        var ahead = Max(Times(lease.Rate, AheadSeconds), Times(need, Math.Max(lease.Waiting, AheadHolds)));
        // What is free is kept while it is asked for more: where nobody can answer, it is all that calls have.
        var (answer, asked) = await asker.AskAsync(lease, need, least, ahead, mayLower: false);
        if (answer is { IsInForce: true, Outcome: not GrantOutcome.Granted } && least >= asked && lease.Slice.Free > Usd.Zero)
        {
            // It is not enough here; together with what others have it may be for somebody.
            (answer, asked) = await asker.AskAsync(lease, need, least, ahead, mayLower: true);
        }

        if (answer is null)
        {
            return HoldRefusal.Unavailable;
        }

        if (!answer.IsInForce)
        {
            // Deleted or disabled, which this silo will know within half a second: then nothing is asked of it any more.
            return HoldRefusal.Held;
        }

        if (answer.Outcome == GrantOutcome.Granted || least < asked)
        {
            // Nothing stands in the way, or nothing that concerns this call: it looks again.
            return null;
        }

        var until = answer.Outcome == GrantOutcome.Exhausted ? ExhaustedFor : HeldFor;
        lease.NoteRefusal(answer.Outcome, asked, Ticks.In(until));
        return answer.Outcome == GrantOutcome.Exhausted ? HoldRefusal.Exhausted : HoldRefusal.Held;
    }

    private static Cap[] CapsOf(CapLease[] matching) => Array.ConvertAll(matching, lease => lease.Cap);

    private static Terms? WithinCeiling(HoldRequest request, Terms terms) => request.PerCallMax is { } most ? terms.Within(most) : terms;

    private static Task WhenAnyChanges(CapLease[] matching) =>
        matching.Length == 0 ? Task.CompletedTask : Task.WhenAny(Array.ConvertAll(matching, lease => lease.Change));

    /// <summary>What fits all strict caps; null: there is none.</summary>
    private static Usd? FreeOf(CapLease[] matching)
    {
        Usd? least = null;
        foreach (var lease in matching)
        {
            if (lease.Cap.Mode == CapMode.Strict && lease.Slice.Free is var free && !(least <= free))
            {
                least = free;
            }
        }

        return least;
    }

    private static Usd Min(Usd left, Usd right) => left < right ? left : right;

    private static Usd Max(Usd left, Usd right) => left > right ? left : right;

    private static Usd Times(Usd amount, int count) => new(amount.PicoUsd * count);
}

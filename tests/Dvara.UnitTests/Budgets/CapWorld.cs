using Dvara.Domain;
using Dvara.Domain.Budgets;

namespace Dvara.UnitTests.Budgets;

/// <summary>
/// One cap, its rows and the silos that spend of it: the server's protocol step by step, so that a test can order the steps as it likes,
/// lose some and repeat others. Rows and journals are in memory; slices and grants are the real ones. Whatever must hold at all times is
/// checked after every step.
/// </summary>
internal sealed class CapWorld
{
    /// <summary>Steps for which a confirmed lease may be held from.</summary>
    private const long UsableFor = 100;

    private readonly List<(PeriodRows Period, JournalFile Journal, Usd Amount)> _charges = [];
    private int _limitVersion;

    public CapWorld(Usd limit, int silos)
    {
        Limit = limit;
        Silos = [.. Enumerable.Range(0, silos).Select(_ => new Silo())];
        OpenPeriod(Usd.Zero);
    }

    public Usd Limit { get; private set; }

    public Silo[] Silos { get; }

    public List<PeriodRows> Periods { get; } = [];

    public PeriodRows Current => Periods[^1];

    /// <summary>Asks that are under way, answered or not, awaited or not.</summary>
    public List<SentAsk> Wire { get; } = [];

    public long Now { get; set; }

    public void OpenPeriod(Usd baseline)
    {
        Periods.Add(new(baseline) { Line = Max(Limit, baseline) });
        Check();
    }

    public Attempt? TryHold(Silo silo, PeriodRows period, Usd amount)
    {
        var slice = silo.SliceOf(period);
        if (!slice.TryHold(amount, Now))
        {
            return null;
        }

        var attempt = new Attempt(period, slice, amount);
        silo.Journal.Running.Add(attempt);
        if (silo.LimitVersion == _limitVersion && amount > Usd.Zero)
        {
            Require(period.Used <= Limit + period.Causes, "a silo that knows the limit holds within it");
        }

        Check();
        return attempt;
    }

    /// <summary>The journal has the attempt's end; its silo's slice is told later.</summary>
    /// <param name="silo">Whose attempt it is.</param>
    /// <param name="attempt">One that is running.</param>
    /// <param name="cost">Null: nobody knows it.</param>
    public void End(Silo silo, Attempt attempt, Usd? cost)
    {
        var seq = silo.Journal.End(attempt, cost);
        if (cost is not { } known)
        {
            silo.Untold.Enqueue(() => attempt.Slice.Expose(attempt.Hold, seq));
        }
        else if (known == Usd.Zero)
        {
            silo.Untold.Enqueue(() => attempt.Slice.Release(attempt.Hold));
        }
        else
        {
            attempt.Period.Of(silo.Journal).AboveBound += Above(known, attempt.Hold);
            silo.Untold.Enqueue(() => attempt.Slice.Settle(attempt.Hold, known, seq));
        }

        Check();
    }

    /// <summary>The end of an attempt that began before the cap was known.</summary>
    public void EndLate(Silo silo, PeriodRows period, Usd cost)
    {
        var slice = silo.SliceOf(period);
        var seq = silo.Journal.End(new(period, slice, Usd.Zero), cost);
        period.Of(silo.Journal).Late += cost;
        silo.Untold.Enqueue(() => slice.Settle(Usd.Zero, cost, seq));
        Check();
    }

    public void Tell(Silo silo)
    {
        if (silo.Untold.TryDequeue(out var tell))
        {
            tell();
            Check();
        }
    }

    public void Ship(JournalFile journal, int entries)
    {
        for (var left = Math.Min(entries, journal.Unshipped); left > 0; left--)
        {
            var (attempt, cost) = journal.TakeShipped();
            var lease = attempt.Period.Of(journal);
            if (cost is { } known)
            {
                lease.Settled += known;
                _charges.Add((attempt.Period, journal, known));
            }
            else
            {
                lease.Expose(attempt);
            }
        }

        Check();
    }

    /// <summary>It becomes known, somewhere, what an attempt cost.</summary>
    public void Resolve(PeriodRows period, JournalFile journal, Attempt attempt, Usd cost)
    {
        var lease = period.Of(journal);
        lease.EndExposure(attempt);
        lease.AboveBound += Above(cost, attempt.Hold);
        lease.Settled += cost;
        _charges.Add((period, journal, cost));
        Check();
    }

    public void Correct(PeriodRows period, JournalFile journal, Usd by)
    {
        var lease = period.Of(journal);
        lease.Corrected += Above(by, Usd.Zero);
        lease.Settled += by;
        _charges.Add((period, journal, by));
        Check();
    }

    public SentAsk Ask(Silo silo, PeriodRows period, Usd need = default, Usd least = default, Usd ahead = default, bool mayLower = true)
    {
        var number = (silo.Journal.Epoch << 40) + ++silo.Asked;
        var (used, spent, keep) = silo.SliceOf(period).Ask(number, mayLower);
        var sent = new SentAsk(
            silo.Journal, period, number, new() { Used = used, Spent = spent, Keep = keep, Need = need, Least = least, Ahead = ahead });
        var lease = period.Of(silo.Journal);
        Require(Max(used, lease.Spent) + lease.Causes >= period.UsedOf(silo.Journal), "slice and ledger together know at least what is used");
        silo.Awaited[period] = sent;
        Wire.Add(sent);
        Check();
        return sent;
    }

    /// <summary>The transaction of an ask; a second time it changes nothing.</summary>
    public void Deliver(SentAsk sent)
    {
        var (journal, period, ask) = (sent.Journal, sent.Period, sent.Ask);
        var lease = period.Of(journal);
        var standing = period.StandingFor(journal, Limit);
        var grant = Granting.Decide(ask, standing);
        if (sent.Number > lease.Asked && !journal.IsWrittenOff)
        {
            Require(ask.Keep <= Max(lease.Granted, ask.Used), "a slice knows at most what is granted");
            Require(grant.Granted <= lease.Granted || standing.Covers(grant.Granted), "no grant takes what is granted above the limit in force");
            (lease.Granted, lease.Asked) = (grant.Granted, sent.Number);
        }

        sent.Answer = new(period.Read(journal), grant.Outcome, standing.Covers(lease.Granted));
        Check();
    }

    /// <summary>The answer arrives, if there is one.</summary>
    public void Answer(Silo silo, PeriodRows period)
    {
        if (silo.Awaited.TryGetValue(period, out var sent) && sent.Answer is { } answer)
        {
            silo.Awaited.Remove(period);
            silo.SliceOf(period).Apply(answer.State, answer.IsCovered ? Now + UsableFor : Slice.Never, isAnswer: true);
            Check();
        }
    }

    /// <summary>A whole ask.</summary>
    public GrantOutcome Fetch(Silo silo, PeriodRows period, Usd need = default, Usd least = default, Usd ahead = default, bool mayLower = true)
    {
        var sent = Ask(silo, period, need, least, ahead, mayLower);
        Deliver(sent);
        Answer(silo, period);
        return sent.Answer!.Outcome;
    }

    /// <summary>Reads a lease; the slice is told later, or never.</summary>
    public Reading Read(Silo silo, PeriodRows period)
    {
        var reading = new Reading(silo.SliceOf(period), period.Read(silo.Journal), Now + UsableFor);
        silo.Readings.Add(reading);
        return reading;
    }

    public void Apply(Reading reading)
    {
        reading.Slice.Apply(reading.State, reading.UsableUntil, isAnswer: false);
        Check();
    }

    public void SetLimit(Usd limit)
    {
        foreach (var period in Periods)
        {
            period.Line = Max(limit, Min(period.Line, period.Committed));
        }

        Limit = limit;
        _limitVersion++;
        Check();
    }

    /// <summary>The silo learns of the limit in force.</summary>
    public void Notice(Silo silo)
    {
        silo.LimitVersion = _limitVersion;
        foreach (var slice in silo.Slices.Values)
        {
            slice.Expire();
        }

        Check();
    }

    public void Crash(Silo silo)
    {
        silo.Forget();
        Check();
    }

    /// <summary>Replays the journal: only when all of it is in the ledger does anything begin.</summary>
    public void Restart(Silo silo)
    {
        Replay(silo.Journal);
        silo.IsUp = true;
        silo.LimitVersion = _limitVersion;
    }

    public void Replay(JournalFile journal)
    {
        journal.Reopen();
        Ship(journal, journal.Unshipped);
    }

    /// <summary>The journal of a silo that is down is given up; the silo gets another one.</summary>
    public JournalFile WriteOff(Silo silo)
    {
        var journal = silo.Journal;
        foreach (var period in Periods)
        {
            var lease = period.Of(journal);
            lease.WrittenOff += period.UsedOf(journal) - lease.Spent;
            lease.Granted = Usd.Zero;
        }

        journal.IsWrittenOff = true;
        silo.Journal = new();
        Check();
        return journal;
    }

    /// <summary>Holds at all times, whatever has happened.</summary>
    public void Check()
    {
        // Nothing happens in earlier ones.
        for (var i = Math.Max(0, Periods.Count - 2); i < Periods.Count; i++)
        {
            Check(Periods[i]);
        }
    }

    private void Check(PeriodRows period)
    {
        foreach (var (journal, lease) in period.Leases)
        {
            var may = journal.IsWrittenOff ? lease.Spent : lease.Granted;
            Require(period.UsedOf(journal) <= may + lease.Causes, "nobody uses more than is granted");
        }

        var committed = period.Committed;
        Require(committed <= period.Line + period.Causes, "what is granted or used only exceeds the limit for a cause");
        period.Line = Max(Limit, Min(period.Line, committed));
        foreach (var silo in Silos)
        {
            if (silo.Slices.TryGetValue(period, out var slice))
            {
                var lease = period.Of(silo.Journal);
                Require(slice.Held >= Usd.Zero, "held is never negative");
                Require(slice.Free <= lease.Granted + lease.Causes - period.UsedOf(silo.Journal), "what is free is granted and not used");
            }
        }
    }

    /// <summary>Everything ends and is known everywhere: nothing has leaked.</summary>
    public void CheckDrained()
    {
        foreach (var period in Periods)
        {
            Check(period);
            foreach (var silo in Silos)
            {
                CheckDrained(silo, period);
            }

            var charged = _charges.Where(charge => charge.Period == period).Aggregate(period.Baseline, (sum, charge) => sum + charge.Amount);
            var exposed = period.Leases.Values.Aggregate(Usd.Zero, (sum, lease) => sum + lease.Exposed);
            Require(period.Spent == charged + exposed, "spend is the sum of charges");
            Require(period.Leases.Values.All(lease => lease.Granted <= lease.Spent), "nothing stays granted that is not spent");
            Require(Above(period.Spent, Limit) <= period.Line - Limit + period.Causes, "an overrun is at most its causes");
            CheckRest(period, Limit - period.Spent);
        }
    }

    private void CheckDrained(Silo silo, PeriodRows period)
    {
        var slice = silo.SliceOf(period);
        Fetch(silo, period, mayLower: false);
        Apply(Read(silo, period));
        var lease = period.Of(silo.Journal);
        Require(slice.Held == Usd.Zero, "nothing stays held");
        Require(slice.Free == lease.Granted - lease.Settled - lease.Exposed, "what is free is what is granted and not spent");
        Fetch(silo, period);
        Require(slice.Free <= Usd.Zero, "everything free is given back");
    }

    /// <summary>Whatever is left of the limit can be held, and not a pico-dollar more.</summary>
    private void CheckRest(PeriodRows period, Usd rest)
    {
        var one = Usd.FromPico(1);
        var above = Max(rest, Usd.Zero) + one;
        Require(Fetch(Silos[0], period, above, above) == GrantOutcome.Exhausted, "no more than the rest is granted");
        if (rest > Usd.Zero)
        {
            Require(Fetch(Silos[^1], period, rest, rest) == GrantOutcome.Granted, "all of the rest is granted");
            Require(TryHold(Silos[^1], period, rest) is not null, "all of the rest is held");
        }

        Require(TryHold(Silos[^1], period, one) is null, "nothing is held beyond the limit");
    }

    private static void Require(bool holds, string rule)
    {
        if (!holds)
        {
            throw new InvalidOperationException($"Broken: {rule}.");
        }
    }

    private static Usd Above(Usd amount, Usd bound) => Max(amount - bound, Usd.Zero);

    public static Usd Max(Usd left, Usd right) => left > right ? left : right;

    private static Usd Min(Usd left, Usd right) => left < right ? left : right;
}

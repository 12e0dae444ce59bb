namespace Dvara.Domain.Budgets;

/// <summary>
/// What a journal's silo asks of a cap's period. Numbers are absolute, so that an answer that was lost can be asked for again.
/// </summary>
public readonly record struct LeaseAsk
{
    /// <summary>What the asker knows to be used of its lease: open holds, charges (shipped or not), exposure.</summary>
    public required Usd Used { get; init; }

    /// <summary>The part of <see cref="Used"/> that is spent or exposed: what stays when all open holds end in nothing.</summary>
    public required Usd Spent { get; init; }

    /// <summary>
    /// What the asker keeps in any case: it goes on holding from it while it asks. No more than <see cref="Used"/>: what is free of its lease
    /// may be taken back.
    /// </summary>
    public required Usd Keep { get; init; }

    /// <summary>One attempt's hold; zero: nothing is asked for, something is given back or fetched ahead.</summary>
    public Usd Need { get; init; }

    /// <summary>The smallest hold that would do; below <see cref="Need"/> where its output can be clamped.</summary>
    public Usd Least { get; init; }

    /// <summary>What more the asker could use soon: attempts that wait, and its recent rate.</summary>
    public Usd Ahead { get; init; }
}

/// <summary>A cap's period as the database has it, at the moment of a grant.</summary>
public readonly record struct CapStanding
{
    /// <summary>The limit in force.</summary>
    public required Usd Limit { get; init; }

    /// <summary>Spent before the cap was there.</summary>
    public required Usd Baseline { get; init; }

    /// <summary>Of the other journals: each one's grant, or what it has used where that is more.</summary>
    public required Usd OthersCommitted { get; init; }

    /// <summary>Of the other journals: charged or exposed.</summary>
    public required Usd OthersSpent { get; init; }

    /// <summary>The asker's lease so far.</summary>
    public required Usd OwnGranted { get; init; }

    /// <summary>Of the asker's journal: charged or exposed, as far as the ledger knows.</summary>
    public required Usd OwnSpent { get; init; }

    /// <summary>Other journals that hold a part of the period.</summary>
    public int Others { get; init; }

    /// <summary>
    /// True: all that is granted is within the limit, with <paramref name="granted"/> to the asker. Where it is not, because the limit was
    /// lowered, running calls end as they began, but what they leave over is nobody's to hold.
    /// </summary>
    public bool Covers(Usd granted) => Limit > Usd.Zero && Baseline + OthersCommitted + granted <= Limit;
}

/// <summary>How an ask ends.</summary>
public enum GrantOutcome
{
    /// <summary>At least the smallest hold that would do is granted.</summary>
    Granted,

    /// <summary>It does not fit now; it would if what is held were given back.</summary>
    Held,

    /// <summary>It does not fit in this period, whatever running calls turn out to cost.</summary>
    Exhausted,
}

/// <param name="Outcome">How the ask ended.</param>
/// <param name="Granted">The asker's lease from now on, everything that is used of it included.</param>
public readonly record struct Grant(GrantOutcome Outcome, Usd Granted);

/// <summary>
/// Decides what a lease becomes. The sum of what is granted never rises above the limit in force; where it exceeds it for other reasons (a
/// lowered limit, a bill above its bound), each asker keeps what it uses, and what it did not give up.
/// </summary>
public static class Granting
{
    /// <summary>Below so many holds of room, money is granted hold by hold: a slice that lies idle elsewhere would be missed.</summary>
    private const int ScarceHolds = 8;

    public static Grant Decide(in LeaseAsk ask, in CapStanding standing)
    {
        var used = Max(ask.Used, standing.OwnSpent);
        var spent = standing.Baseline + standing.OthersSpent + Max(ask.Spent, standing.OwnSpent);
        var share = standing.Limit - standing.Baseline - standing.OthersCommitted;
        var room = share - used;
        // A silo goes on holding from what it keeps: to cut that would grant the money twice, whatever the limit has become. Beyond its share
        // nothing rises, whatever the asker says.
        var kept = Min(Max(ask.Keep, used), Max(standing.OwnGranted, share));
        if (standing.Limit == Usd.Zero || (ask.Need > Usd.Zero && room < ask.Least))
        {
            // A limit of 0 blocks what costs nothing too.
            var outcome = standing.Limit == Usd.Zero || spent + ask.Least > standing.Limit ? GrantOutcome.Exhausted : GrantOutcome.Held;
            // What it gave up is free again: together with others' it may be enough for somebody.
            return new(outcome, kept);
        }

        var hold = Min(ask.Need, room);
        var ahead = Ahead(ask, room - hold, standing.Others);
        return new(GrantOutcome.Granted, Max(used + hold + ahead, kept));
    }

    private static Usd Ahead(in LeaseAsk ask, Usd room, int others)
    {
        // Nothing is fetched ahead alone where it would soon be missed.
        if (room.PicoUsd < (ask.Need > Usd.Zero ? ask.Need.PicoUsd * ScarceHolds : 2 * ask.Ahead.PicoUsd))
        {
            return Usd.Zero;
        }

        // Nobody takes more than a fair half, so that whoever asks next finds room too.
        return Min(ask.Ahead, new Usd(room.PicoUsd / (2 * (others + 1))));
    }

    private static Usd Min(Usd left, Usd right) => left < right ? left : right;

    private static Usd Max(Usd left, Usd right) => left > right ? left : right;
}

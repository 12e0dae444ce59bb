using Dvara.Domain;
using Dvara.Domain.Budgets;

namespace Dvara.UnitTests.Budgets;

/// <summary>The rows of one cap's period, and what only a test can see: what is really used, and why it may exceed the limit.</summary>
internal sealed class PeriodRows(Usd baseline)
{
    private readonly Dictionary<JournalFile, LeaseRow> _leases = [];

    public Usd Baseline => baseline;

    public IReadOnlyDictionary<JournalFile, LeaseRow> Leases => _leases;

    /// <summary>What all that is used or granted may come to: the limit, or what it already was when the limit was lowered.</summary>
    public Usd Line { get; set; }

    /// <summary>Charged or exposed, as the database has it.</summary>
    public Usd Spent => baseline + Sum((_, lease) => lease.Spent);

    /// <summary>Charged, exposed or held, wherever it is written by now.</summary>
    public Usd Used => baseline + Sum((journal, lease) => lease.Spent + journal.UnshippedOf(this));

    /// <summary>What each journal may use, or has used where that is more.</summary>
    public Usd Committed => baseline + Sum((journal, lease) => CapWorld.Max(lease.Granted, lease.Spent + journal.UnshippedOf(this)));

    /// <summary>All that may exceed the line.</summary>
    public Usd Causes => Sum((_, lease) => lease.Causes);

    public LeaseRow Of(JournalFile journal) => _leases.TryGetValue(journal, out var lease) ? lease : _leases[journal] = new LeaseRow();

    public Usd UsedOf(JournalFile journal) => Of(journal).Spent + journal.UnshippedOf(this);

    public CapStanding StandingFor(JournalFile journal, Usd limit)
    {
        var own = Of(journal);
        return new CapStanding
        {
            Limit = limit,
            Baseline = baseline,
            OthersCommitted = Sum((_, lease) => lease == own ? Usd.Zero : CapWorld.Max(lease.Granted, lease.Spent)),
            OthersSpent = Sum((_, lease) => lease == own ? Usd.Zero : lease.Spent),
            OwnGranted = own.Granted,
            OwnSpent = own.Spent,
            Others = _leases.Values.Count(lease => lease != own && lease.Granted > lease.Spent),
        };
    }

    public LeaseState Read(JournalFile journal)
    {
        var lease = Of(journal);
        return new(lease.Granted, lease.Asked, lease.Settled, lease.Exposed, journal.Shipped - 1);
    }

    private Usd Sum(Func<JournalFile, LeaseRow, Usd> part)
    {
        var sum = Usd.Zero;
        foreach (var (journal, lease) in _leases)
        {
            sum += part(journal, lease);
        }

        return sum;
    }
}

internal sealed class LeaseRow
{
    public Usd Granted { get; set; }

    public long Asked { get; set; }

    public Usd Settled { get; set; }

    /// <summary>Attempts whose outcome is unknown.</summary>
    public List<Attempt> Exposures { get; } = [];

    /// <summary>Their holds.</summary>
    public Usd Exposed { get; private set; }

    public Usd AboveBound { get; set; }

    public Usd Late { get; set; }

    /// <summary>Upwards only: what a correction gave back may be spent before another takes it again.</summary>
    public Usd Corrected { get; set; }

    /// <summary>What a journal had used when it was written off, and the ledger did not know.</summary>
    public Usd WrittenOff { get; set; }

    public Usd Spent => Settled + Exposed;

    public Usd Causes => AboveBound + Late + Corrected + WrittenOff;

    public void Expose(Attempt attempt)
    {
        Exposures.Add(attempt);
        Exposed += attempt.Hold;
    }

    public void EndExposure(Attempt attempt)
    {
        Exposures.Remove(attempt);
        Exposed -= attempt.Hold;
    }
}

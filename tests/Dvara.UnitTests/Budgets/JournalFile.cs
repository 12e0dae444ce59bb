using Dvara.Domain;
using Dvara.Domain.Budgets;

namespace Dvara.UnitTests.Budgets;

/// <summary>What survives a crash: attempts that were begun, and how they ended, in order.</summary>
internal sealed class JournalFile
{
    private readonly List<Entry> _entries = [];

    /// <summary>Intents without an end.</summary>
    public List<Attempt> Running { get; } = [];

    /// <summary>Processes that have opened it.</summary>
    public long Epoch { get; private set; } = 1;

    /// <summary>Given up: nothing is granted to it any more.</summary>
    public bool IsWrittenOff { get; set; }

    /// <summary>So many entries are in the ledger.</summary>
    public int Shipped { get; private set; }

    public int Unshipped => _entries.Count - Shipped;

    public long End(Attempt attempt, Usd? cost)
    {
        Running.Remove(attempt);
        _entries.Add(new(attempt, cost));
        return _entries.Count - 1;
    }

    public Entry TakeShipped() => _entries[Shipped++];

    /// <summary>Another process opens it: what was running has no known end.</summary>
    public void Reopen()
    {
        Epoch++;
        while (Running.Count > 0)
        {
            End(Running[0], null);
        }
    }

    public Usd UnshippedOf(PeriodRows period)
    {
        var sum = Usd.Zero;
        foreach (var attempt in Running)
        {
            sum += attempt.Period == period ? attempt.Hold : Usd.Zero;
        }

        for (var i = Shipped; i < _entries.Count; i++)
        {
            sum += _entries[i].Attempt.Period == period ? _entries[i].Cost ?? _entries[i].Attempt.Hold : Usd.Zero;
        }

        return sum;
    }
}

internal sealed class Attempt(PeriodRows period, Slice slice, Usd hold)
{
    public PeriodRows Period => period;

    public Slice Slice => slice;

    public Usd Hold => hold;
}

/// <summary>The end of an attempt; without a cost nobody knows it, and the hold stays.</summary>
internal readonly record struct Entry(Attempt Attempt, Usd? Cost);

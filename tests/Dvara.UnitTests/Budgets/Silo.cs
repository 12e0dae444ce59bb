using Dvara.Domain.Budgets;

namespace Dvara.UnitTests.Budgets;

/// <summary>A process: what is in its memory, and its journal.</summary>
internal sealed class Silo
{
    public JournalFile Journal { get; set; } = new();

    public bool IsUp { get; set; } = true;

    public int LimitVersion { get; set; }

    public long Asked { get; set; }

    public Dictionary<PeriodRows, Slice> Slices { get; } = [];

    public Dictionary<PeriodRows, SentAsk> Awaited { get; } = [];

    /// <summary>Ends that the journal has, and the slice does not know.</summary>
    public Queue<Action> Untold { get; } = [];

    public List<Reading> Readings { get; } = [];

    public Slice SliceOf(PeriodRows period) => Slices.TryGetValue(period, out var slice) ? slice : Slices[period] = new Slice();

    public void Forget()
    {
        IsUp = false;
        Asked = 0;
        Slices.Clear();
        Awaited.Clear();
        Untold.Clear();
        Readings.Clear();
    }
}

internal sealed class SentAsk(JournalFile journal, PeriodRows period, long number, LeaseAsk ask)
{
    public JournalFile Journal => journal;

    public PeriodRows Period => period;

    public long Number => number;

    public LeaseAsk Ask => ask;

    public Answered? Answer { get; set; }
}

internal sealed record Answered(LeaseState State, GrantOutcome Outcome, bool IsCovered);

/// <summary>A row as it was read.</summary>
internal sealed record Reading(Slice Slice, LeaseState State, long UsableUntil);

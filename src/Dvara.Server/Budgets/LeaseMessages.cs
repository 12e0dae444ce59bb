using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Time;

namespace Dvara.Server.Budgets;

/// <summary>What a silo asks a cap's grain. Amounts are pico-dollars.</summary>
[GenerateSerializer, Immutable, Alias("Dvara.LeaseQuestion")]
internal sealed record LeaseQuestion
{
    [Id(0)]
    public required Guid Cap { get; init; }

    [Id(1)]
    public required DateTimeOffset Start { get; init; }

    [Id(2)]
    public required DateTimeOffset End { get; init; }

    [Id(3)]
    public required Guid Journal { get; init; }

    /// <summary>Rises from ask to ask of a journal; an ask that comes twice is answered twice and acts once.</summary>
    [Id(4)]
    public required long Number { get; init; }

    [Id(5)]
    public required long Used { get; init; }

    [Id(6)]
    public required long Spent { get; init; }

    [Id(7)]
    public required long Keep { get; init; }

    [Id(8)]
    public required long Need { get; init; }

    [Id(9)]
    public required long Least { get; init; }

    [Id(10)]
    public required long Ahead { get; init; }

    public LeaseKey Key => new(new(Cap), Start, new(Journal));

    public TimeWindow Period => new(Start, End);

    public LeaseAsk Ask => new()
    {
        Used = Usd.FromPico(Used),
        Spent = Usd.FromPico(Spent),
        Keep = Usd.FromPico(Keep),
        Need = Usd.FromPico(Need),
        Least = Usd.FromPico(Least),
        Ahead = Usd.FromPico(Ahead),
    };
}

/// <summary>The lease as it is now. Amounts are pico-dollars.</summary>
[GenerateSerializer, Immutable, Alias("Dvara.LeaseAnswer")]
internal sealed record LeaseAnswer
{
    [Id(0)]
    public required GrantOutcome Outcome { get; init; }

    [Id(1)]
    public required long Granted { get; init; }

    [Id(2)]
    public required long Number { get; init; }

    [Id(3)]
    public required long Settled { get; init; }

    [Id(4)]
    public required long Exposed { get; init; }

    [Id(5)]
    public required long ShippedThrough { get; init; }

    /// <summary>Charged or exposed in the whole period.</summary>
    [Id(6)]
    public required long Spent { get; init; }

    /// <summary>The limit in force.</summary>
    [Id(7)]
    public required long Limit { get; init; }

    /// <summary>False: the cap is deleted or disabled; nothing is to be held.</summary>
    [Id(8)]
    public bool IsInForce { get; init; } = true;

    /// <summary>False: more is granted than the limit by now allows, so nothing that becomes free is to be held again.</summary>
    [Id(9)]
    public bool IsCovered { get; init; }

    /// <summary>Granted in the whole period, and neither charged nor exposed.</summary>
    [Id(10)]
    public long PeriodHeld { get; init; }

    /// <summary>Exposed in the whole period.</summary>
    [Id(11)]
    public long PeriodExposure { get; init; }

    /// <summary>A silo of the version before tells no exposure apart: there it is among what is spent.</summary>
    public CapFigures Figures => new(Usd.FromPico(Limit), Usd.FromPico(Spent - PeriodExposure), Usd.FromPico(PeriodHeld), Usd.FromPico(PeriodExposure));

    public LeaseState State => new(Usd.FromPico(Granted), Number, Usd.FromPico(Settled), Usd.FromPico(Exposed), ShippedThrough);

    public static readonly LeaseAnswer NotInForce = new()
    {
        Outcome = GrantOutcome.Granted, Granted = 0, Number = 0, Settled = 0, Exposed = 0, ShippedThrough = 0, Spent = 0, Limit = 0, IsInForce = false,
    };
}

using Dvara.Domain.Time;

namespace Dvara.Domain.Budgets;

/// <summary>How long a limit lasts. Each begins at midnight of the cap's time zone; weeks begin on Monday.</summary>
public enum CapPeriod
{
    Daily,
    Weekly,
    Monthly,
}

/// <summary>How much of an attempt a cap must be able to pay before it is dispatched.</summary>
public enum CapMode
{
    /// <summary>The most that it can cost: the limit is never exceeded.</summary>
    Strict,

    /// <summary>What such a call usually costs: the limit may be exceeded by what running calls cost beyond that.</summary>
    Elastic,
}

/// <summary>What becomes of a call whose bound does not fit, and whose client set no output limit of its own.</summary>
public enum Shortfall
{
    /// <summary>Its output limit is set to what fits.</summary>
    Clamp,

    /// <summary>It is refused.</summary>
    Refuse,
}

/// <summary>Who answers for a cap.</summary>
public enum CapProvenance
{
    /// <summary>Whoever runs the platform.</summary>
    Platform,

    /// <summary>The tenant itself, through a token narrowed to it.</summary>
    Tenant,
}

/// <summary>A tag that a charge must carry. Keys match case-insensitively, values exactly.</summary>
public readonly record struct CapTag(string Key, string Value);

/// <summary>The key of a cap: its line is what matches, so whoever rotates a key takes its limits along.</summary>
/// <param name="Named">By which key of the line the admin named it.</param>
/// <param name="Line">All that it was rotated from and is rotated to.</param>
public readonly record struct CapKey(ApiKeyId Named, KeyLineId Line);

/// <summary>
/// A limit per period on a scope: everything that the scope names must match, and what it leaves open matches all. Without any part it is
/// the whole fleet's. Scope, period and zone never change; everything else may, without touching what has been spent.
/// </summary>
public sealed record Cap
{
    /// <summary>The largest limit, USD: sums of a period must fit the 64 bits of a row.</summary>
    public const int LimitUsdMax = 9_000_000;

    public const int SoftPctDefault = 80;
    public const long AssumedMaxOutputTokensDefault = 16_384;
    public const int HoldWaitMsDefault = 2_000;

    public required CapId Id { get; init; }

    public TenantId? TenantId { get; init; }

    /// <summary>Comes with its tenant.</summary>
    public CapKey? Key { get; init; }

    public CapTag? Tag { get; init; }

    /// <summary>
    /// The model as it is sent to its provider, of any; or <c>provider/model</c>, of that one alone. A prefix where it ends with <c>*</c>.
    /// </summary>
    public string? Model { get; init; }

    public required string Name { get; init; }

    public required CapPeriod Period { get; init; }

    /// <summary>IANA id of the zone whose midnights bound the periods.</summary>
    public string TimeZone { get; init; } = "UTC";

    /// <summary>0 blocks everything.</summary>
    public required Usd Limit { get; init; }

    /// <summary>Percent of the limit, 1 to 100, at which somebody is told; null: nobody is.</summary>
    public int? SoftPct { get; init; }

    public bool Enabled { get; init; } = true;

    public CapMode Mode { get; init; }

    public Shortfall OnShortfall { get; init; }

    /// <summary>The output limit of a call that has none, tokens; the model's own maximum where that is smaller.</summary>
    public long AssumedMaxOutputTokens { get; init; } = AssumedMaxOutputTokensDefault;

    /// <summary>How long a call waits for running ones to end, milliseconds.</summary>
    public int HoldWaitMs { get; init; } = HoldWaitMsDefault;

    public CapProvenance Provenance { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>The period that holds <paramref name="instant"/>.</summary>
    public TimeWindow PeriodAt(DateTimeOffset instant) => PeriodCalendar.PeriodAt(Period, TimeZone, instant);

    /// <summary>Spend from which on the soft percentage is reached; null: there is none. Exact: nothing is rounded down to reach it sooner.</summary>
    public Usd? SoftThreshold => SoftPct is { } pct ? new Usd(((Limit.PicoUsd * pct) + 99) / 100) : null;

    /// <summary>
    /// True: a call that costs <paramref name="least"/> at least is larger than the whole limit, whatever is spent. A limit of 0 is no matter
    /// of size, and of an elastic cap no call needs more than what is left.
    /// </summary>
    public bool IsExceededBy(Usd least) => Mode == CapMode.Strict && Limit > Usd.Zero && least > Limit;

    public bool Matches(in CapScope scope) =>
        (TenantId is not { } tenant || tenant == scope.TenantId)
        && (Key is not { } key || key.Line == scope.KeyLine)
        && (Model is not { } model || IsModel(model, scope.Model) || IsModelOf(scope.Provider, model, scope.Model))
        && (Tag is not { } tag || IsTagged(tag, scope.Tags));

    private static bool IsModel(ReadOnlySpan<char> pattern, ReadOnlySpan<char> model) =>
        pattern.EndsWith('*') ? model.StartsWith(pattern[..^1], StringComparison.Ordinal) : model.SequenceEqual(pattern);

    private static bool IsModelOf(string provider, ReadOnlySpan<char> pattern, ReadOnlySpan<char> model) =>
        pattern.Length > provider.Length && pattern[provider.Length] == '/' && pattern.StartsWith(provider, StringComparison.Ordinal)
        && IsModel(pattern[(provider.Length + 1)..], model);

    private static bool IsTagged(in CapTag wanted, IReadOnlyDictionary<string, string> tags)
    {
        if (tags.TryGetValue(wanted.Key, out var exact))
        {
            return exact == wanted.Value;
        }

        foreach (var (key, value) in tags)
        {
            if (key.Equals(wanted.Key, StringComparison.OrdinalIgnoreCase))
            {
                return value == wanted.Value;
            }
        }

        return false;
    }
}

/// <summary>What of an attempt decides which caps it falls under.</summary>
public readonly record struct CapScope(TenantId TenantId, KeyLineId KeyLine, string Provider, string Model, IReadOnlyDictionary<string, string> Tags);

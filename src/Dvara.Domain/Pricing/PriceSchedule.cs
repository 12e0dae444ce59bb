using Dvara.Domain.Time;

namespace Dvara.Domain.Pricing;

/// <summary>Why a version cannot be opened where it was asked for.</summary>
public enum PriceRefusal
{
    None,

    /// <summary>It would start before <see cref="PriceOpening.Limit"/>.</summary>
    TooEarly,

    /// <summary>It would end before or when it starts.</summary>
    Empty,

    /// <summary>It would reach into a version that starts at <see cref="PriceOpening.Limit"/>.</summary>
    Overlap,
}

/// <summary>Where a new version starts, or why it cannot.</summary>
/// <param name="From">First instant of the new version.</param>
/// <param name="Refusal">Anything but None: it is not opened.</param>
/// <param name="Limit">The instant that the refusal is about.</param>
public readonly record struct PriceOpening(DateTimeOffset From, PriceRefusal Refusal = PriceRefusal.None, DateTimeOffset Limit = default);

/// <summary>
/// When a price may change. Every silo learns of a change within 1 s and rates an attempt by the version valid at its intent, so an
/// existing price changes with <see cref="Notice"/>: by then every silo has it. A first price needs none, nothing was rated by that key.
/// All instants are whole milliseconds, as charges are stamped.
/// </summary>
public static class PriceSchedule
{
    public static readonly TimeSpan Notice = TimeSpan.FromSeconds(5);

    /// <summary>The earliest instant at which a key with a price in force or planned may change.</summary>
    public static DateTimeOffset NextChange(DateTimeOffset now) => (now + Notice).CeilingToMillisecond();

    /// <summary>Before it nothing may start; null: anything may, for no charge was ever rated by this key.</summary>
    /// <param name="versions">Every version of the key.</param>
    /// <param name="now">The time of the change.</param>
    public static DateTimeOffset? Earliest(IReadOnlyCollection<Price> versions, DateTimeOffset now)
    {
        if (versions.Count == 0)
        {
            return null;
        }

        return versions.All(version => version.EffectiveTo <= now) ? now.FloorToMillisecond() : NextChange(now);
    }

    /// <summary>Finds the place of a new version. What is in force there ends where it starts; what starts later must not be reached.</summary>
    /// <param name="versions">Every other version of the key.</param>
    /// <param name="earliest">As <see cref="Earliest"/> says.</param>
    /// <param name="from">Asked for; null: as soon as allowed.</param>
    /// <param name="to">Asked for; null: open.</param>
    /// <param name="now">The time of the change.</param>
    public static PriceOpening Open(
        IReadOnlyCollection<Price> versions, DateTimeOffset? earliest, DateTimeOffset? from, DateTimeOffset? to, DateTimeOffset now)
    {
        var start = from ?? earliest ?? now.FloorToMillisecond();
        if (start < earliest)
        {
            return new(start, PriceRefusal.TooEarly, earliest.Value);
        }

        if (to <= start)
        {
            return new(start, PriceRefusal.Empty, start);
        }

        foreach (var version in versions)
        {
            if (version.EffectiveFrom >= start && !(to <= version.EffectiveFrom))
            {
                return new(start, PriceRefusal.Overlap, version.EffectiveFrom);
            }
        }

        return new(start);
    }
}

namespace Dvara.Domain.Time;

/// <summary>Everything that is kept is stamped in whole milliseconds of UTC; these bring an instant there.</summary>
public static class WholeMilliseconds
{
    /// <summary>The millisecond that <paramref name="instant"/> is in: the stamp of what happens then.</summary>
    public static DateTimeOffset FloorToMillisecond(this DateTimeOffset instant) =>
        new(instant.UtcTicks - (instant.UtcTicks % TimeSpan.TicksPerMillisecond), TimeSpan.Zero);

    /// <summary>
    /// The first millisecond that is not before <paramref name="instant"/>: what a bound between two of them means. At the end of the
    /// calendar, where no other follows, the one it is in.
    /// </summary>
    public static DateTimeOffset CeilingToMillisecond(this DateTimeOffset instant)
    {
        var floor = instant.FloorToMillisecond();
        return floor == instant || floor.UtcTicks > DateTimeOffset.MaxValue.UtcTicks - TimeSpan.TicksPerMillisecond
            ? floor
            : floor.AddMilliseconds(1);
    }
}

namespace Dvara.Server.Costs;

/// <summary>Where the sums of a stretch of time are read from.</summary>
internal enum CoverSource
{
    Hours,
    Minutes,
    Rows,
}

/// <summary>A half-open stretch of Unix milliseconds and the source that covers it exactly.</summary>
internal readonly record struct CoverPiece(CoverSource Source, long FromMs, long ToMs);

/// <summary>
/// Cuts a window into disjoint pieces that together are the window: whole hours from hour rollups, the ragged edges from minute
/// rollups while those are kept, what is left from rows. Pure.
/// </summary>
internal static class TimeCover
{
    public const long SecondMs = 1000;
    public const long MinuteMs = 60 * SecondMs;
    public const long HourMs = 60 * MinuteMs;
    public const long DayMs = 24 * HourMs;

    /// <param name="fromMs">First millisecond.</param>
    /// <param name="toMs">First millisecond that does not belong to it.</param>
    /// <param name="minutesFromMs">Minute rollups are whole from here on; <see cref="long.MaxValue"/>: there are none for this query.</param>
    /// <param name="rowDays">Starts of days for which the rollups do not tell the whole; read from rows.</param>
    public static IReadOnlyList<CoverPiece> Of(long fromMs, long toMs, long minutesFromMs, IEnumerable<long> rowDays)
    {
        var pieces = new List<CoverPiece>();
        var at = fromMs;
        foreach (var day in rowDays.Order().Where(day => day < toMs && day + DayMs > fromMs))
        {
            AddHours(pieces, at, day, minutesFromMs);
            at = Math.Max(at, day);
            var end = Math.Min(toMs, day + DayMs);
            Add(pieces, CoverSource.Rows, at, end);
            at = end;
        }

        AddHours(pieces, at, toMs, minutesFromMs);
        return pieces;
    }

    private static void AddHours(List<CoverPiece> pieces, long fromMs, long toMs, long minutesFromMs)
    {
        var (first, last) = Whole(fromMs, toMs, HourMs);
        AddMinutes(pieces, fromMs, first, minutesFromMs);
        Add(pieces, CoverSource.Hours, first, last);
        AddMinutes(pieces, last, toMs, minutesFromMs);
    }

    private static void AddMinutes(List<CoverPiece> pieces, long fromMs, long toMs, long minutesFromMs)
    {
        var (first, last) = fromMs < minutesFromMs ? (toMs, toMs) : Whole(fromMs, toMs, MinuteMs);
        Add(pieces, CoverSource.Rows, fromMs, first);
        Add(pieces, CoverSource.Minutes, first, last);
        Add(pieces, CoverSource.Rows, last, toMs);
    }

    /// <summary>The whole units inside the stretch; where there are none, an empty stretch at its end.</summary>
    private static (long First, long Last) Whole(long fromMs, long toMs, long unitMs)
    {
        // Floor division: years before 1970 are negative.
        var first = -Floor(-fromMs, unitMs);
        var last = Floor(toMs, unitMs);
        return first < last ? (first, last) : (toMs, toMs);
    }

    private static long Floor(long ms, long unitMs) => ms - (((ms % unitMs) + unitMs) % unitMs);

    private static void Add(List<CoverPiece> pieces, CoverSource source, long fromMs, long toMs)
    {
        if (fromMs < toMs)
        {
            pieces.Add(new(source, fromMs, toMs));
        }
    }
}

using System.Globalization;
using System.Text.RegularExpressions;
using Dvara.Domain.Time;

namespace Dvara.Server.Hosting.AdminApi;

/// <summary>How instants are spelled: ISO 8601 with <c>Z</c> or an offset. Never the machine's time zone.</summary>
internal static partial class Instants
{
    private const string Example = "2026-04-01T00:00:00Z";

    // The last second of the year 9999 has no following midnight; as an end it stays what it is.
    private static readonly DateTimeOffset EndOfCalendar = DateTimeOffset.FromUnixTimeSeconds(253402300799);

    /// <summary>Milliseconds only where there are any.</summary>
    public static string Format(DateTimeOffset instant) => instant.UtcDateTime.ToString(
        instant.UtcTicks % TimeSpan.TicksPerSecond == 0 ? "yyyy-MM-dd'T'HH:mm:ss'Z'" : "yyyy-MM-dd'T'HH:mm:ss.fff'Z'",
        CultureInfo.InvariantCulture);

    /// <summary>Reads a full instant. A space before an offset stands for the <c>+</c> that a query string lost.</summary>
    public static (DateTimeOffset Instant, string? Problem) Parse(string text)
    {
        if (BareDate().IsMatch(text))
        {
            return (default, $"\"{text}\" is a date without a time; write a full instant such as {text}T00:00:00Z.");
        }

        if (!Shape().IsMatch(text))
        {
            return (default, $"\"{Shorten(text)}\" is not an instant; write it with Z or an offset, such as {Example}.");
        }

        return DateTimeOffset.TryParse(
            text.Replace(' ', '+'), CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal, out var instant)
            ? (instant.ToUniversalTime(), null)
            : (default, $"\"{text}\" is no instant of the calendar; write one such as {Example}.");
    }

    /// <summary>
    /// Reads the end of a window. <c>T23:59:59</c> with any number of 9s behind the point means the following midnight:
    /// windows are half-open, and read literally the last second would belong to no month.
    /// </summary>
    public static (DateTimeOffset Instant, string? Problem) ParseEnd(string text)
    {
        // The nines go first: read with eight of them, an instant would round up to the midnight and then count a second too many.
        var lastSecond = LastSecond().Match(text);
        var (instant, problem) = Parse(lastSecond.Success ? text.Remove(lastSecond.Groups[1].Index, lastSecond.Groups[1].Length) : text);
        return problem is null && lastSecond.Success && instant < EndOfCalendar
            ? (instant.AddSeconds(1), null)
            : (instant, problem);
    }

    /// <summary>Reads <c>2026-04</c> as the calendar month in UTC.</summary>
    public static (TimeWindow Window, string? Problem) ParsePeriod(string text) =>
        DateTimeOffset.TryParseExact(
            text, "yyyy-MM", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var first)
        && first.Year < 9999
            ? (TimeWindow.MonthOf(first), null)
            : (default, $"\"{Shorten(text)}\" is not a month; write it as 2026-04.");

    private static string Shorten(string text) => text.Length <= 40 ? text : text[..40] + "…";

    [GeneratedRegex(@"^\d{4}-\d{2}-\d{2}$", RegexOptions.CultureInvariant)]
    private static partial Regex BareDate();

    [GeneratedRegex(@"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+\- ]\d{2}:\d{2})$", RegexOptions.CultureInvariant)]
    private static partial Regex Shape();

    [GeneratedRegex(@"T23:59:59(\.9+)?(Z|[+\- ]\d{2}:\d{2})$", RegexOptions.CultureInvariant)]
    private static partial Regex LastSecond();
}

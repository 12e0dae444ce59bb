using System.Globalization;
using Dvara.Domain;
using Dvara.Domain.Time;

namespace Dvara.Server.Chargeback.Pdf;

/// <summary>How figures and dates are written: for readers anywhere, in one way.</summary>
internal static class PdfFigures
{
    private static readonly CultureInfo Plain = CultureInfo.InvariantCulture;

    public static string Count(long count) => count.ToString("N0", Plain);

    public static string Requests(long count) => count == 1 ? "1 request" : $"{Count(count)} requests";

    /// <summary>All twelve decimals, so that a column aligns: <c>1,234.567000000000</c>.</summary>
    public static string Exact(Usd amount)
    {
        var magnitude = Int128.Abs(amount.PicoUsd);
        var scale = Int128.Parse("1" + new string('0', Usd.Decimals), Plain);
        var whole = ((System.Numerics.BigInteger)(magnitude / scale)).ToString("N0", Plain);
        return $"{(amount.PicoUsd < 0 ? "-" : "")}{whole}.{((long)(magnitude % scale)).ToString("D12", Plain)}";
    }

    /// <summary>Where the digits that carry nothing begin; two decimals always carry.</summary>
    public static int SignificantLength(string exact)
    {
        var point = exact.IndexOf('.', StringComparison.Ordinal);
        return Math.Max(exact.TrimEnd('0').Length, point + 3);
    }

    /// <summary>Rounded to cents, as an invoice shows it: <c>1,234.57</c>.</summary>
    public static string Rounded(Usd amount)
    {
        var cents = amount.RoundToCents();
        return $"{(cents < 0 ? "-" : "")}{Math.Abs(cents / 100).ToString("N0", Plain)}.{Math.Abs(cents % 100).ToString("D2", Plain)}";
    }

    public static string Date(DateTimeOffset instant) => instant.UtcDateTime.ToString("d MMMM yyyy", Plain);

    public static string Month(BillingMonth month) => month.Window.From.ToString("MMMM yyyy", Plain);

    /// <summary>
    /// The first and the last day, both included; with times, on two lines, where the window does not begin and end at midnight, or holds nothing.
    /// </summary>
    public static string Period(TimeWindow window)
    {
        if (window.From == window.To || window.From.UtcDateTime.TimeOfDay != TimeSpan.Zero || window.To.UtcDateTime.TimeOfDay != TimeSpan.Zero)
        {
            return $"{Minute(window.From)} \u2013\n{Minute(window.To)}";
        }

        var last = window.To.AddDays(-1);
        return window.From == last ? Date(window.From) : $"{Date(window.From)} \u2013 {Date(last)}";
    }

    public static string Minute(DateTimeOffset instant) => instant.UtcDateTime.ToString(
        instant.UtcTicks % TimeSpan.TicksPerMinute == 0 ? "d MMMM yyyy, HH:mm"
        : instant.UtcTicks % TimeSpan.TicksPerSecond == 0 ? "d MMMM yyyy, HH:mm:ss"
        : "d MMMM yyyy, HH:mm:ss.fff",
        Plain);
}

using System.Globalization;

namespace Dvara.Domain;

/// <summary>
/// An exact amount of US dollars: an integer count of pico-dollars (1e-12 USD). Rows hold it as a signed 64-bit count
/// (at most about 9.2 million USD each), sums never leave 128 bits. Nothing here rounds, and binary floating point never appears.
/// </summary>
/// <param name="PicoUsd">The amount in units of 1e-12 USD; negative for credits.</param>
public readonly record struct Usd(Int128 PicoUsd) : IComparable<Usd>
{
    /// <summary>Digits behind the decimal point of the unit.</summary>
    public const int Decimals = 12;

    private const long PicoPerUsd = 1_000_000_000_000;

    public static Usd Zero => default;

    public static Usd FromPico(long picoUsd) => new(picoUsd);

    /// <summary>An exact decimal amount.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The amount has more than 12 decimals; it is never rounded here.</exception>
    public static Usd FromDecimal(decimal usd)
    {
        // Whole and fraction apart: 28 digits of decimal do not hold a large amount times 1e12.
        var whole = decimal.Truncate(usd);
        var pico = (usd - whole) * PicoPerUsd;
        if (pico != decimal.Truncate(pico))
        {
            throw new ArgumentOutOfRangeException(nameof(usd), usd, "An amount has at most 12 decimals.");
        }

        return new((Int128)whole * PicoPerUsd + (Int128)pico);
    }

    /// <summary>The count as a row stores it.</summary>
    /// <exception cref="OverflowException">The amount needs more than 64 bits: it is a sum, not a row.</exception>
    public long ToRowPicoUsd() => checked((long)PicoUsd);

    /// <summary>The same amount as a decimal, exact.</summary>
    /// <exception cref="OverflowException">More than about 7.9e16 USD.</exception>
    public decimal ToDecimal() => (decimal)(PicoUsd / PicoPerUsd) + ((decimal)(PicoUsd % PicoPerUsd) / PicoPerUsd);

    /// <summary>Rounded half away from zero to whole cents, the way an invoice shows it.</summary>
    public long RoundToCents()
    {
        const long PicoPerCent = PicoPerUsd / 100;
        var half = PicoUsd < 0 ? -PicoPerCent / 2 : PicoPerCent / 2;
        return checked((long)((PicoUsd + half) / PicoPerCent));
    }

    public static Usd operator +(Usd left, Usd right) => new(checked(left.PicoUsd + right.PicoUsd));

    public static Usd operator -(Usd left, Usd right) => new(checked(left.PicoUsd - right.PicoUsd));

    public static Usd operator -(Usd value) => new(checked(-value.PicoUsd));

    public static bool operator <(Usd left, Usd right) => left.PicoUsd < right.PicoUsd;

    public static bool operator >(Usd left, Usd right) => left.PicoUsd > right.PicoUsd;

    public static bool operator <=(Usd left, Usd right) => left.PicoUsd <= right.PicoUsd;

    public static bool operator >=(Usd left, Usd right) => left.PicoUsd >= right.PicoUsd;

    public int CompareTo(Usd other) => PicoUsd.CompareTo(other.PicoUsd);

    /// <summary>A plain decimal without exponent and without trailing zeros: <c>0.00065</c>, <c>12</c>, <c>-1.25</c>.</summary>
    public override string ToString()
    {
        var magnitude = Int128.Abs(PicoUsd);
        var whole = (magnitude / PicoPerUsd).ToString(CultureInfo.InvariantCulture);
        var fraction = (long)(magnitude % PicoPerUsd);
        var sign = PicoUsd < 0 ? "-" : "";
        return fraction == 0
            ? sign + whole
            : $"{sign}{whole}.{fraction.ToString("D12", CultureInfo.InvariantCulture).TrimEnd('0')}";
    }
}

using CsCheck;
using Dvara.Domain;
using Xunit;

namespace Dvara.UnitTests;

public sealed class UsdTests
{
    private static readonly Gen<Usd> AnyRow = Gen.Long.Select(Usd.FromPico);

    [Fact]
    public void Usd_ThroughDecimalAndBack_IsTheSame() =>
        AnyRow.Sample(usd => Usd.FromDecimal(usd.ToDecimal()) == usd);

    [Fact]
    public void Usd_PrintedAndReadAsDecimal_IsTheSame() =>
        AnyRow.Sample(usd => decimal.Parse(usd.ToString(), System.Globalization.CultureInfo.InvariantCulture) == usd.ToDecimal());

    [Theory]
    [InlineData("0", "0")]
    [InlineData("0.000000000001", "0.000000000001")]
    [InlineData("-1.25", "-1.25")]
    [InlineData("12.500", "12.5")]
    [InlineData("100", "100")]
    public void Usd_Printed_IsAPlainDecimal(string given, string printed) =>
        Assert.Equal(printed, Usd.FromDecimal(decimal.Parse(given, System.Globalization.CultureInfo.InvariantCulture)).ToString());

    [Fact]
    public void Usd_WithThirteenDecimals_IsRefused() =>
        Assert.Throws<ArgumentOutOfRangeException>(() => Usd.FromDecimal(0.0000000000001m));

    [Theory]
    [InlineData("0.005", 1)]
    [InlineData("0.004999999999", 0)]
    [InlineData("-0.005", -1)]
    public void Usd_RoundedToCents_GoesHalfAwayFromZero(string usd, long cents) =>
        Assert.Equal(cents, Usd.FromDecimal(decimal.Parse(usd, System.Globalization.CultureInfo.InvariantCulture)).RoundToCents());
}

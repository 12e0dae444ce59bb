using System.Text;
using System.Text.Json;
using CsCheck;
using Dvara.Server.Metering;
using Xunit;

namespace Dvara.UnitTests.Metering;

public sealed class JournalEntryTests
{
    [Fact]
    public void Intent_ComesBackAsItWas() =>
        SomeAttempts.AnyIntent.Sample(intent => SomeAttempts.Same(intent, JournalEntry.DecodeIntent(JournalEntry.Encode(intent))));

    [Fact]
    public void Charge_ComesBackAsItWas() =>
        SomeAttempts.AnyCharge.Sample(charge => SomeAttempts.Same(charge, JournalEntry.DecodeCharge(JournalEntry.Encode(charge))));

    [Fact]
    public void Usage_ComesBackAsItWas() =>
        SomeAttempts.AnyUsage.Sample(usage => JournalEntry.DecodeUsage(JournalEntry.Encode(usage)) == usage);

    [Theory]
    [InlineData("\ud800")]
    [InlineData("a\udc00b")]
    [InlineData("\ud800\ud800")]
    public void Intent_WithHalfACharacter_IsKeptWithAReplacement(string text)
    {
        // No bytes of UTF-8 say this. An attempt that cannot be noted would be refused, and one that cannot be charged would be lost.
        var intent = SomeAttempts.Intent(tags: new Dictionary<string, string> { [text] = text }) with { EndUser = text };

        var back = JournalEntry.DecodeIntent(JournalEntry.Encode(intent));

        Assert.Equal(Replaced(text), back.EndUser);
        Assert.Equal(Replaced(text), Assert.Single(back.Tags).Key);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("{\"Intent\":")]
    public void Charge_OfOtherBytes_IsRefused(string body) =>
        Assert.ThrowsAny<JsonException>(() => JournalEntry.DecodeCharge(Encoding.UTF8.GetBytes(body)));

    [Fact]
    public void Charge_CutAnywhere_IsRefused()
    {
        var body = JournalEntry.Encode(SomeAttempts.Settled(SomeAttempts.Intent()));

        Assert.All(Enumerable.Range(0, body.Length), length => Assert.ThrowsAny<JsonException>(() => JournalEntry.DecodeCharge(body.AsSpan(0, length))));
    }

    private static string Replaced(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
}

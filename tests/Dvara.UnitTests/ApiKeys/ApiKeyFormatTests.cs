using CsCheck;
using Dvara.Server.ApiKeys;
using Xunit;

namespace Dvara.UnitTests.ApiKeys;

public sealed class ApiKeyFormatTests
{
    private const string Base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    private static readonly Gen<string> Key = Gen.Int.Select(_ => ApiKeyFormat.Make());

    [Fact]
    public void Make_Always_IsWellFormedAndDisplaysElevenCharacters() => Key.Sample(key =>
    {
        Assert.Equal(52, key.Length);
        Assert.True(ApiKeyFormat.IsWellFormed(key));
        Assert.Equal(key[..11], ApiKeyFormat.Displayed(key));
        Assert.True(ApiKeyFormat.IsDisplayed(key.AsSpan(0, 11)));
    });

    [Fact]
    public void Make_TenThousandTimes_NeverRepeats() =>
        Assert.Equal(10_000, Enumerable.Range(0, 10_000).Select(_ => ApiKeyFormat.Make()).Distinct().Count());

    /// <summary>The check value of CRC-32 over "gw_" and 43 zeros, computed with zlib.</summary>
    [Fact]
    public void IsWellFormed_WithZlibsChecksum_IsTrue() =>
        Assert.True(ApiKeyFormat.IsWellFormed("gw_" + new string('0', 43) + "2u7Cll"));

    [Fact]
    public void IsWellFormed_WithAnyOneCharacterChanged_IsFalse()
    {
        for (var n = 0; n < 20; n++)
        {
            var key = ApiKeyFormat.Make();
            for (var i = 0; i < key.Length; i++)
            {
                foreach (var other in Base62 + "_-+/= \0\u00e9\uff10")
                {
                    if (other != key[i])
                    {
                        Assert.False(ApiKeyFormat.IsWellFormed(key.Remove(i, 1).Insert(i, other.ToString())), $"{i} {other}");
                    }
                }
            }
        }
    }

    [Fact]
    public void IsWellFormed_WithTwoNeighboursSwapped_IsFalse() =>
        Gen.Select(Key, Gen.Int[0, 50]).Where((key, i) => key[i] != key[i + 1]).Sample((key, i) =>
            Assert.False(ApiKeyFormat.IsWellFormed(key[..i] + key[i + 1] + key[i] + key[(i + 2)..])));

    [Fact]
    public void IsWellFormed_CutOrLengthened_IsFalse() => Gen.Select(Key, Gen.Int[0, 51]).Sample((key, length) =>
    {
        Assert.False(ApiKeyFormat.IsWellFormed(key.AsSpan(0, length)));
        Assert.False(ApiKeyFormat.IsWellFormed(key + key[length]));
    });

    [Fact]
    public void IsWellFormed_OfAnyText_NeverThrows() => Gen.String.Sample(text =>
    {
        Assert.False(ApiKeyFormat.IsWellFormed(text));
        Assert.False(ApiKeyFormat.IsWellFormed("gw_" + text));
    });

    [Theory]
    [InlineData("gw_0123456789abcdef0123456789abcdef01234567", true)]
    [InlineData("gw_0123456789ABCDEF0123456789ABCDEF01234567", false)]
    [InlineData("gw_0123456789abcdef0123456789abcdef0123456", false)]
    [InlineData("gw_0123456789abcdef0123456789abcdef012345678", false)]
    [InlineData("gw_0123456789abcdef0123456789abcdef0123456g", false)]
    [InlineData("GW_0123456789abcdef0123456789abcdef01234567", false)]
    [InlineData("sk-0123456789abcdef0123456789abcdef01234567", false)]
    [InlineData("gw_", false)]
    [InlineData("", false)]
    [InlineData("' OR '1'='1", false)]
    public void IsWellFormed_OfImportedKeys_TakesFortyLowerCaseHex(string key, bool expected) =>
        Assert.Equal(expected, ApiKeyFormat.IsWellFormed(key));

    [Fact]
    public void IsWellFormed_OfAMegabyte_IsFalse() => Assert.False(ApiKeyFormat.IsWellFormed("gw_" + new string('a', 1 << 20)));

    [Fact]
    public void IsWellFormed_Always_AllocatesNothing()
    {
        var key = ApiKeyFormat.Make();
        Assert.True(ApiKeyFormat.IsWellFormed(key));

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            ApiKeyFormat.IsWellFormed(key);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}

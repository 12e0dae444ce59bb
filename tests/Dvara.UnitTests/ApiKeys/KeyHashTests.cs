using System.Security.Cryptography;
using System.Text;
using Dvara.Server.ApiKeys;
using Xunit;

namespace Dvara.UnitTests.ApiKeys;

public sealed class KeyHashTests
{
    [Fact]
    public void Of_AnyKey_IsItsSha256()
    {
        var key = ApiKeyFormat.Make();
        var expected = SHA256.HashData(Encoding.ASCII.GetBytes(key));

        var hash = KeyHash.Of(key);

        Assert.Equal(expected, hash.ToArray());
        Assert.Equal(Convert.ToHexStringLower(expected), hash.ToString());
    }

    [Fact]
    public void TryParse_OfItsOwnText_IsTheSame()
    {
        var hash = KeyHash.Of(ApiKeyFormat.Make());

        Assert.True(KeyHash.TryParse(hash.ToString(), out var parsed));
        Assert.True(KeyHash.TryParse(hash.ToString().ToUpperInvariant(), out var upper));
        Assert.Equal(hash, parsed);
        Assert.Equal(hash, upper);
        Assert.Equal(hash.GetHashCode(), parsed.GetHashCode());
    }

    [Theory]
    [InlineData("")]
    [InlineData("ab")]
    [InlineData("zz00000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("00000000000000000000000000000000000000000000000000000000000000000")]
    [InlineData("000000000000000000000000000000000000000000000000000000000000000")]
    public void TryParse_OfAnythingElse_IsFalse(string text) => Assert.False(KeyHash.TryParse(text, out _));

    [Fact]
    public void Of_Always_AllocatesNothing()
    {
        var key = ApiKeyFormat.Make();
        _ = KeyHash.Of(key);

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            _ = KeyHash.Of(key);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}

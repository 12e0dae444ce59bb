using Dvara.Providers;
using Xunit;

namespace Dvara.UnitTests.Providers;

public sealed class TagHeaderTests
{
    [Fact]
    public void TryParse_Tags_AreTrimmedAndMatchWithoutCase()
    {
        Assert.True(TagHeader.TryParse(" Team = red ,q=a=b, empty=", out var tags, out _));

        Assert.Equal([new("Team", "red"), new("q", "a=b"), new("empty", "")], tags);
        Assert.Equal("red", tags["TEAM"]);
    }

    [Theory]
    [InlineData("")]
    [InlineData("  ")]
    public void TryParse_AnEmptyHeader_HasNoTags(string header)
    {
        Assert.True(TagHeader.TryParse(header, out var tags, out _));
        Assert.Empty(tags);
    }

    [Theory]
    [InlineData("team", "team")]
    [InlineData("a=b,,c=d", "")]
    [InlineData("a=b,", "")]
    [InlineData("=v", "")]
    [InlineData("a=1,A=2", "A")]
    public void TryParse_AWrongTag_IsNamed(string header, string tag)
    {
        Assert.False(TagHeader.TryParse(header, out _, out var problem));
        Assert.Equal((400, "validation_error", $"X-Dvara-Tags.{tag}"), (problem.Status, problem.Code, problem.Param));
    }

    [Fact]
    public void TryParse_Limits_HoldOnBothSides()
    {
        var twenty = string.Join(',', Enumerable.Range(0, 20).Select(i => $"t{i}=v"));

        Assert.True(TagHeader.TryParse(twenty, out _, out _));
        Assert.False(TagHeader.TryParse(twenty + ",t20=v", out _, out _));
        Assert.True(TagHeader.TryParse($"{new string('k', 64)}={new string('v', 256)}", out _, out _));
        Assert.False(TagHeader.TryParse($"{new string('k', 65)}=v", out _, out _));
        Assert.False(TagHeader.TryParse($"k={new string('v', 257)}", out _, out _));
    }
}

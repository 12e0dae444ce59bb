using Dvara.Server.Costs;
using Xunit;

namespace Dvara.UnitTests.Costs;

public sealed class TagFilterTests
{
    [Theory]
    [InlineData("Project:apollo", "project", "apollo")]
    [InlineData("a:b:c", "a", "b:c")]
    [InlineData("a:", "a", "")]
    [InlineData("ÄÖ:ü", "äö", "ü")]
    public void Filter_AsWritten_IsSplitAtTheFirstColon(string text, string key, string value) =>
        Assert.Equal(new TagFilter(key, value), TagFilter.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData(":")]
    [InlineData(":value")]
    [InlineData("key")]
    public void Filter_WithoutAKey_IsNone(string text) => Assert.Null(TagFilter.Parse(text));

    [Theory]
    [InlineData("PROJECT:apollo", true)]
    [InlineData("project:Apollo", false)]
    [InlineData("project:", false)]
    [InlineData("projec:apollo", false)]
    [InlineData("Ärger:1", true)]
    public void Filter_MatchesKeysInAnyCaseAndValuesExactly(string text, bool matches) =>
        Assert.Equal(matches, TagFilter.Parse(text)!.Matches(new Dictionary<string, string> { ["Project"] = "apollo", ["äRGER"] = "1" }));
}

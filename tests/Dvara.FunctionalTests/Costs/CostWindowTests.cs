using System.Net;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

/// <summary>How a caller may spell a window, on the three calls that take one.</summary>
public sealed class CostWindowTests(CostWindowTests.Node node) : IClassFixture<CostWindowTests.Node>
{
    [Fact]
    public async Task Window_AsSpelled_IsEchoedAsUnderstood()
    {
        (string Query, string From, string To)[] table =
        [
            ("from=2026-04-01T00:00:00Z&to=2026-05-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
            ("period=2026-04", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
            ("period=2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("from=2026-04-01T00:00:00Z&to=2026-04-30T23:59:59Z", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
            ("from=2026-04-01T00:00:00Z&to=2026-04-30T23:59:59.9Z", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
            ("from=2026-04-01T00:00:00Z&to=2026-04-30T23:59:59.999Z", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
            ("from=2026-04-01T00:00:00Z&to=2026-04-30T23:59:59.9999999Z", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
            ("from=2026-04-01T00:00:00Z&to=2026-04-30T23:59:59.99999999Z", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
            ("from=2026-04-01T00:00:00Z&to=2026-04-30T23:59:59.999999999Z", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
            ("from=2026-04-01T00:00:00Z&to=2026-04-30T23:59:59%2B05:30", "2026-04-01T00:00:00Z", "2026-04-30T18:30:00Z"),
            ("from=2026-04-01T00:00:00Z&to=2026-04-30T23:59:58.999Z", "2026-04-01T00:00:00Z", "2026-04-30T23:59:58.999Z"),
            ("from=2026-04-01T23:59:59Z&to=2026-04-30T00:00:00Z", "2026-04-01T23:59:59Z", "2026-04-30T00:00:00Z"),
            ("from=2026-04-01T05:30:00%2B05:30&to=2026-04-02T00:00:00-03:00", "2026-04-01T00:00:00Z", "2026-04-02T03:00:00Z"),
            ("from=2026-04-01T05:30:00+05:30&to=2026-04-02T00:00:00+00:00", "2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z"),
            ("from=2026-04-01T05:30:00%2005:30&to=2026-04-02T00:00Z", "2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z"),
            ("from=2026-04-01T00:00:00Z&to=2026-04-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-04-01T00:00:00Z"),
            ("from=2026-04-01T00:00:00.0005Z&to=2026-04-01T00:00:00.0015Z", "2026-04-01T00:00:00.001Z", "2026-04-01T00:00:00.002Z"),
            ("from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
            ("from=1969-12-31T23:30:00Z&to=1970-01-01T00:30:00Z", "1969-12-31T23:30:00Z", "1970-01-01T00:30:00Z"),
        ];

        foreach (var (query, from, to) in table)
        {
            foreach (var call in new[] { "?", "/summary?", "/summary?groupBy=day&", "/summary/by-tag?key=Project&" })
            {
                var answer = await node.GetAsync(call + query);
                Assert.Equal((call + query, from, to), (call + query, answer.GetProperty("from").GetString(), answer.GetProperty("to").GetString()));
            }
        }
    }

    [Theory]
    [InlineData("from=2026-04-01&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=2026-04-01T00:00:00Z&to=2026-04-30", "to", "2026-04-30T00:00:00Z")]
    [InlineData("from=2026-04-01T00:00:00&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=2026-04-01T24:00:00Z&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=2026-04-01T00:00:60Z&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=2026-02-30T00:00:00Z&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=2026-13-01T00:00:00Z&to=2027-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=0000-01-01T00:00:00Z&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=12026-01-01T00:00:00Z&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=0001-01-01T00:00:00%2B05:00&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=2026-04-01T00:00:00%2B99:00&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=yesterday&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=1775001600&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=%D9%A2%D9%A0%D9%A2%D9%A6-04-01T00:00:00Z&to=2026-05-01T00:00:00Z", "from", "2026-04-01T00:00:00Z")]
    [InlineData("from=2026-05-01T00:00:00Z&to=2026-04-01T00:00:00Z", "from", "after")]
    [InlineData("from=2026-05-01T00:00:00.001Z&to=2026-04-30T23:59:59Z", "from", "after")]
    [InlineData("period=2026-4", "period", "2026-04")]
    [InlineData("period=2026-13", "period", "2026-04")]
    [InlineData("period=2026", "period", "2026-04")]
    [InlineData("period=April", "period", "2026-04")]
    [InlineData("period=9999-12", "period", "2026-04")]
    [InlineData("period=0000-01", "period", "2026-04")]
    [InlineData("period=2026-04&from=2026-04-01T00:00:00Z", "period", "one or the other")]
    [InlineData("from=2026-04-01T00:00:00Z&from=2026-04-02T00:00:00Z&to=2026-05-01T00:00:00Z", "from", "twice")]
    public async Task Window_ThatCannotBeUnderstood_Is400AndSaysWhatToWrite(string query, string field, string remedy)
    {
        foreach (var call in new[] { "?", "/summary?", "/summary/by-tag?key=Project&" })
        {
            var error = await node.RefusedAsync(call + query, HttpStatusCode.BadRequest, "validation_error");

            Assert.Equal(field, error.GetProperty("errors")[0].GetProperty("field").GetString());
            Assert.Contains(remedy, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        }
    }

    /// <summary>Nothing here changes anything: one node does.</summary>
    public sealed class Node() : CostsNode();
}

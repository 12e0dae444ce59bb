using System.Net;
using System.Text.Json;
using Dvara.Domain.Metering;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

public sealed class CostSummaryTests(CostSummaryTests.Node node) : IClassFixture<CostSummaryTests.Node>
{
    private static readonly DateTimeOffset Noon = new(2026, 4, 15, 12, 0, 0, TimeSpan.Zero);

    private static readonly Charge[] Some =
    [
        SomeCharges.At(Noon, "openai", "gpt-4o", new Dictionary<string, string> { ["Project"] = "apollo" }),
        SomeCharges.At(Noon.AddMinutes(90), "openai", "gpt-4o", new Dictionary<string, string> { ["project"] = "apollo" }),
        SomeCharges.At(Noon.AddDays(2), "mock", "gpt-4o-mini", tenant: 1, key: 2),
        SomeCharges.At(Noon.AddDays(2), "openai", "gpt-4o", new Dictionary<string, string> { ["PROJECT"] = "(untagged)" }) with
        {
            State = ChargeState.Failed, Usage = null, Cost = default,
        },
    ];

    [Fact]
    public async Task Summary_WithoutGroups_HasEveryFieldOfTheContract()
    {
        var summary = await node.GetAsync("/summary?period=2026-04");

        Assert.Equal(
            """{"totalCostUsd":0.0225,"inputCostUsd":0.0075,"outputCostUsd":0.015,"currency":"USD","requestCount":3,"inputTokens":3000,"cachedInputTokens":300,"cacheWriteTokens":0,"outputTokens":1500,"reasoningTokens":300,"estimatedRequests":0,"unpricedRequests":0,"unresolvedRequests":0,"unresolvedLowerBoundUsd":0,"failedAttempts":1,"from":"2026-04-01T00:00:00Z","to":"2026-05-01T00:00:00Z","groups":[]}""",
            Sorted(summary));
    }

    [Theory]
    [InlineData("provider", """{"provider":"openai"} 0.015|{"provider":"mock"} 0.0075""")]
    [InlineData("model", """{"model":"gpt-4o"} 0.015|{"model":"gpt-4o-mini"} 0.0075""")]
    [InlineData("day", """{"day":"2026-04-15"} 0.015|{"day":"2026-04-17"} 0.0075""")]
    [InlineData("hour", """{"hour":"2026-04-15T12:00:00Z"} 0.0075|{"hour":"2026-04-15T13:00:00Z"} 0.0075|{"hour":"2026-04-17T12:00:00Z"} 0.0075""")]
    [InlineData("tag:Project", """{"tag:Project":"apollo"} 0.015|{"tag:Project":null} 0.0075|{"tag:Project":"(untagged)"} 0""")]
    [InlineData("provider,day", """{"provider":"openai","day":"2026-04-15"} 0.015|{"provider":"mock","day":"2026-04-17"} 0.0075|{"provider":"openai","day":"2026-04-17"} 0""")]
    [InlineData("api_key", """{"apiKey":"01890000-0000-7000-8000-000000000011"} 0.015|{"apiKey":"01890000-0000-7000-8000-000000000013"} 0.0075""")]
    [InlineData("tenant", """{"tenant":"01890000-0000-7000-8000-000000000001"} 0.015|{"tenant":"01890000-0000-7000-8000-000000000002"} 0.0075""")]
    [InlineData("tag:project,tag:never", """{"tag:project":"apollo","tag:never":null} 0.015|{"tag:project":null,"tag:never":null} 0.0075|{"tag:project":"(untagged)","tag:never":null} 0""")]
    public async Task Summary_Grouped_ShowsTheGroupsThatAddUp(string groupBy, string expected)
    {
        var summary = await node.GetAsync($"/summary?period=2026-04&groupBy={groupBy}");

        var groups = summary.GetProperty("groups").EnumerateArray().ToList();
        Assert.Equal(expected, string.Join('|', groups.Select(g => $"{g.GetProperty("key").GetRawText()} {g.GetProperty("totalCostUsd").GetRawText()}")));
        foreach (var field in new[] { "totalCostUsd", "requestCount", "inputTokens", "outputTokens", "failedAttempts" })
        {
            Assert.Equal(summary.GetProperty(field).GetDecimal(), groups.Sum(g => g.GetProperty(field).GetDecimal()));
        }
    }

    [Fact]
    public async Task ByTag_HasAnExplicitUntaggedGroup()
    {
        var byTag = await node.GetAsync("/summary/by-tag?key=PROJECT&period=2026-04");

        Assert.Equal(
            """{"key":"PROJECT","from":"2026-04-01T00:00:00Z","to":"2026-05-01T00:00:00Z","totalCostUsd":0.0225,"currency":"USD","groups":[{"value":"apollo","untagged":false,"totalCostUsd":0.015,"requestCount":2,"inputTokens":2000,"outputTokens":1000},{"value":"(untagged)","untagged":true,"totalCostUsd":0.0075,"requestCount":1,"inputTokens":1000,"outputTokens":500},{"value":"(untagged)","untagged":false,"totalCostUsd":0,"requestCount":0,"inputTokens":0,"outputTokens":0}]}""",
            byTag.GetRawText());
    }

    [Fact]
    public async Task ByTag_OfAnEmptyWindow_IsUntaggedAlone()
    {
        var byTag = await node.GetAsync("/summary/by-tag?key=Project&from=2026-04-01T00:00:00Z&to=2026-04-01T00:00:00Z");

        Assert.Equal("(untagged)", Assert.Single(byTag.GetProperty("groups").EnumerateArray()).GetProperty("value").GetString());
        Assert.Equal(0m, byTag.GetProperty("totalCostUsd").GetDecimal());
    }

    [Theory]
    [InlineData("/summary", "from")]
    [InlineData("/summary?from=2026-04-01T00:00:00Z", "to")]
    [InlineData("/summary?period=2026-04&groupBy=colour", "groupBy")]
    [InlineData("/summary?period=2026-04&groupBy=", "groupBy")]
    [InlineData("/summary?period=2026-04&groupBy=provider,", "groupBy")]
    [InlineData("/summary?period=2026-04&groupBy=provider,provider", "groupBy")]
    [InlineData("/summary?period=2026-04&groupBy=tag:a,tag:A", "groupBy")]
    [InlineData("/summary?period=2026-04&groupBy=tag:", "groupBy")]
    [InlineData("/summary?period=2026-04&groupBy=1;SELECT", "groupBy")]
    [InlineData("/summary?period=2026-04&groupBy=tag:a,tag:b,tag:c,tag:d,tag:e,tag:f,tag:g,tag:h,tag:i,tag:j,tag:k", "groupBy")]
    [InlineData("/summary?from=2026-01-01T00:00:00Z&to=2026-04-03T00:00:01Z&groupBy=hour", "groupBy")]
    [InlineData("/summary?period=2026-04&limit=5", "limit")]
    [InlineData("/summary?period=2026-04&key=Project", "key")]
    [InlineData("/summary/by-tag?period=2026-04", "key")]
    [InlineData("/summary/by-tag?period=2026-04&key=", "key")]
    [InlineData("/summary/by-tag?period=2026-04&key=a&groupBy=provider", "groupBy")]
    public async Task Summary_WithABadParameter_NamesIt(string rest, string field)
    {
        var error = await node.RefusedAsync(rest, HttpStatusCode.BadRequest, "validation_error");

        Assert.Equal(field, error.GetProperty("errors")[0].GetProperty("field").GetString());
    }

    [Fact]
    public async Task Summary_OfMoreThanTenThousandGroups_SaysWhatToDo()
    {
        await node.AddAsync(Enumerable.Range(0, 10_001)
            .Select(i => SomeCharges.At(Noon.AddMonths(-1), tags: new Dictionary<string, string> { ["ticket"] = $"T-{i}" })));

        var error = await node.RefusedAsync("/summary/by-tag?key=ticket&period=2026-03", HttpStatusCode.BadRequest, "validation_error");

        Assert.Contains("shorter window", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Equal(75.0075m, (await node.GetAsync("/summary?period=2026-03")).GetProperty("totalCostUsd").GetDecimal());
    }

    /// <summary>The fields in the contract's order, wherever the answer puts them.</summary>
    private static string Sorted(JsonElement summary)
    {
        string[] order =
        [
            "totalCostUsd", "inputCostUsd", "outputCostUsd", "currency", "requestCount", "inputTokens", "cachedInputTokens", "cacheWriteTokens",
            "outputTokens", "reasoningTokens", "estimatedRequests", "unpricedRequests", "unresolvedRequests", "unresolvedLowerBoundUsd",
            "failedAttempts", "from", "to", "groups",
        ];
        var fields = summary.EnumerateObject().OrderBy(field => Array.IndexOf(order, field.Name)).Select(field => $"\"{field.Name}\":{field.Value.GetRawText()}");
        return "{" + string.Join(',', fields) + "}";
    }

    public sealed class Node() : CostsNode(Some);
}

using System.Text;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Clients;

/// <summary>The official npm client (<c>tests/clients</c>) against a real gateway.</summary>
public sealed class OpenAiJavaScriptTests
{
    [Theory]
    [InlineData("gpt-4o", "text-embedding-3-small")]
    [InlineData("mock/gpt-4o", "mock/text-embedding-3-small")]
    public async Task Client_SeesWhatOpenAiWouldSend_AndEveryCallIsCharged(string chatModel, string embeddingModel)
    {
        await using var upstream = await FakeUpstream.StartAsync();
        await using var environment = await GatewayEnvironment.StartAsync(upstream.Settings);
        using var tenant = await TestTenant.CreateAsync(environment);

        var result = await ClientScript.RunAsync("openai.mjs", new Uri(environment.BaseAddress, "v1").ToString(), tenant.Key, chatModel, embeddingModel);

        var text = (string)result["whole"]!["text"]!;
        Assert.NotEmpty(text);
        Assert.NotNull((string?)result["whole"]!["cost"]);
        Assert.Equal((string?)result["whole"]!["requestId"], (string?)result["whole"]!["sdkRequestId"]);
        Assert.Equal(text, (string?)result["stream"]!["text"]);
        Assert.Equal(0, (int)result["stream"]!["usageMembers"]!);
        Assert.Null(result["stream"]!["usage"]);
        Assert.Equal(text, (string?)result["streamWithUsage"]!["text"]);
        Assert.Equal(result["whole"]!["usage"]!["total_tokens"]!.ToJsonString(), result["streamWithUsage"]!["usage"]!["total_tokens"]!.ToJsonString());
        Assert.True((int)result["embedding"]!["dimensions"]! > 0);
        Assert.Contains("mock/gpt-4o", result["models"]!.AsArray().Select(m => (string?)m));
        Assert.Equal("""{"name":"AuthenticationError","status":401,"code":"invalid_api_key","type":"authentication_error"}""", Without(result["wrongKey"]!, "requestID"));
        Assert.Equal("""{"name":"BadRequestError","status":400,"code":"validation_error","param":"metadata.tags.a"}""", result["badTag"]!.ToJsonString());
        var lines = await tenant.CostsAsync();
        Assert.Equal(4, lines.Count);
        Assert.All(lines, line => Assert.Equal("SETTLED", (string?)line["state"]));
        Assert.Equal(3, lines.Count(line => line["tags"]!.ToJsonString() == """{"project":"apollo","Team":"search"}"""));
    }

    [Fact]
    public async Task Stream_ThatBreaksInTheMiddle_Throws_BehindWhatCameBefore()
    {
        var result = await StreamAsync((httpContext, _) =>
            Recorded.WriteAsync(httpContext, "text/event-stream", Encoding.UTF8.GetBytes(Recorded.BrokenChatStream(3))));

        Assert.Equal("""{"text":"Hello! How","error":{"name":"APIError","type":"provider_error","code":"provider_error"}}""", result.ToJsonString());
    }

    [Fact]
    public async Task Stream_WhoseCharactersAreSplit_IsExact()
    {
        var result = await StreamAsync((httpContext, _) =>
            Recorded.WriteInSingleBytesAsync(httpContext, Recorded.ChatStream(usage: true).Replace("Hello", "Grüße 👋 日本", StringComparison.Ordinal)));

        Assert.Equal(Recorded.Text.Replace("Hello", "Grüße 👋 日本", StringComparison.Ordinal), (string?)result["text"]);
        Assert.Null(result["error"]);
    }

    private static async Task<JsonNode> StreamAsync(FakeUpstream.Answering answer)
    {
        await using var upstream = await FakeUpstream.StartAsync();
        upstream.Answer = answer;
        await using var environment = await GatewayEnvironment.StartAsync(upstream.Settings);
        using var tenant = await TestTenant.CreateAsync(environment);
        return await ClientScript.RunAsync("stream.mjs", new Uri(environment.BaseAddress, "v1").ToString(), tenant.Key);
    }

    private static string Without(JsonNode node, string member)
    {
        node.AsObject().Remove(member);
        return node.ToJsonString();
    }
}

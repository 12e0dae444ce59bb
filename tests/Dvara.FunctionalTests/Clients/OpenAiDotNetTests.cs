using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json.Nodes;
using Dvara.Testing;
using OpenAI;
using OpenAI.Chat;
using Xunit;

namespace Dvara.FunctionalTests.Clients;

/// <summary>The official .NET client with nothing changed but base URL and key.</summary>
public sealed class OpenAiDotNetTests : IAsyncLifetime
{
    private FakeUpstream _upstream = null!;
    private GatewayEnvironment _environment = null!;
    private TestTenant _tenant = null!;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeUpstream.StartAsync();
        _environment = await GatewayEnvironment.StartAsync(_upstream.Settings);
        _tenant = await TestTenant.CreateAsync(_environment);
    }

    public async ValueTask DisposeAsync()
    {
        _tenant.Dispose();
        await _environment.DisposeAsync();
        await _upstream.DisposeAsync();
    }

    [Theory]
    [InlineData("gpt-4o")]
    [InlineData("mock/gpt-4o")]
    public async Task Chat_WholeAndStreamed_IsChargedWithItsTags(string model)
    {
        var chat = Client("Project=apollo,team=search").GetChatClient(model);

        var whole = await chat.CompleteChatAsync([new UserChatMessage("Hi")], new ChatCompletionOptions { EndUserId = "end-user-1" });
        var text = new StringBuilder();
        var usage = default(ChatTokenUsage);
        await foreach (var update in chat.CompleteChatStreamingAsync([new UserChatMessage("Hi")]))
        {
            text.Append(string.Concat(update.ContentUpdate.Select(part => part.Text)));
            usage = update.Usage ?? usage;
        }

        Assert.Equal(whole.Value.Content[0].Text, text.ToString());
        var lines = await _tenant.CostsAsync();
        Assert.Equal(2, lines.Count);
        Assert.All(lines, line =>
        {
            Assert.Equal("SETTLED", (string?)line["state"]);
            Assert.Equal("""{"Project":"apollo","team":"search"}""", line["tags"]!.ToJsonString());
            Assert.Equal(whole.Value.Usage.InputTokenCount, (int)line["inputTokens"]!);
            Assert.Equal(whole.Value.Usage.OutputTokenCount, (int)line["outputTokens"]!);
            Assert.NotEqual("0", line["totalCostUsd"]!.ToJsonString());
        });
        Assert.Equal("end-user-1", (string?)lines[1]["endUser"]);
        // This client always asks for the usage chunk; it gets what it asked for.
        Assert.Equal(whole.Value.Usage.TotalTokenCount, usage?.TotalTokenCount);
    }

    [Fact]
    public async Task Embeddings_AreDecoded()
    {
        var embedding = await Client("Project=apollo").GetEmbeddingClient("text-embedding-3-small").GenerateEmbeddingAsync("Hello world");

        Assert.Equal([1f, 2f], embedding.Value.ToFloats().ToArray());
        Assert.Equal(5, (long?)Assert.Single(await _tenant.CostsAsync())["inputTokens"]);
    }

    [Fact]
    public async Task Errors_CarryStatusTypeAndCode()
    {
        var client = new OpenAIClient(new ApiKeyCredential("sk-wrong"), Options());

        var error = await Assert.ThrowsAsync<ClientResultException>(() => client.GetChatClient("gpt-4o").CompleteChatAsync("Hi"));

        Assert.Equal(401, error.Status);
        Assert.Contains("authentication_error: invalid_api_key", error.Message, StringComparison.Ordinal);
        Assert.Empty(_upstream.Calls);
    }

    [Fact]
    public async Task ProviderRefusal_ReachesTheClientAsTheProviderWroteIt()
    {
        _upstream.Answer = (httpContext, _) => Recorded.WriteAsync(httpContext, "application/json",
            """{"error":{"message":"Invalid value: 'robot'.","type":"invalid_request_error","param":"messages[0].role","code":"invalid_value"}}"""u8.ToArray(), 400);

        var error = await Assert.ThrowsAsync<ClientResultException>(() => Client("a=b").GetChatClient("gpt-4o").CompleteChatAsync("Hi"));

        Assert.Equal(400, error.Status);
        Assert.Equal("invalid_value", (string?)JsonNode.Parse(error.GetRawResponse()!.Content.ToString())!["error"]!["code"]);
    }

    /// <summary>
    /// The other clients throw at an error inside a stream. This one takes it, OpenAI's own included, for one more update: its application
    /// sees a stream without a finish reason, and the error in the last update.
    /// </summary>
    [Fact]
    public async Task Stream_ThatBreaksInTheMiddle_HasNoFinishReason_AndItsLastUpdateIsTheError()
    {
        _upstream.Answer = (httpContext, _) => Recorded.WriteAsync(httpContext, "text/event-stream", Encoding.UTF8.GetBytes(Recorded.BrokenChatStream(3)));

        var updates = await ReadAsync();

        Assert.Equal("Hello! How", TextOf(updates));
        Assert.DoesNotContain(updates, update => update.FinishReason is not null);
        var last = JsonNode.Parse(ModelReaderWriter.Write(updates[^1]).ToString())!;
        Assert.Equal("provider_error", (string?)last["error"]!["code"]);
        Assert.Equal("ESTIMATED", (string?)Assert.Single(await _tenant.CostsAsync())["state"]);
    }

    [Fact]
    public async Task Stream_WhoseCharactersAreSplit_IsExact()
    {
        _upstream.Answer = (httpContext, _) =>
            Recorded.WriteInSingleBytesAsync(httpContext, Recorded.ChatStream(usage: true).Replace("Hello", "Grüße 👋 日本", StringComparison.Ordinal));

        Assert.Equal(Recorded.Text.Replace("Hello", "Grüße 👋 日本", StringComparison.Ordinal), TextOf(await ReadAsync()));
    }

    [Fact]
    public async Task Readme_Snippet_IsCharged()
    {
        var (baseUrl, key) = ($"{_environment.BaseAddress}v1", _tenant.Key);

        var client = new OpenAIClient(new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri(baseUrl) });
        await client.GetChatClient("mock/gpt-4o").CompleteChatAsync("Hello");

        Assert.Equal("mock", (string?)Assert.Single(await _tenant.CostsAsync())["provider"]);
    }

    private async Task<List<StreamingChatCompletionUpdate>> ReadAsync()
    {
        var updates = new List<StreamingChatCompletionUpdate>();
        await foreach (var update in Client("a=b").GetChatClient("gpt-4o").CompleteChatStreamingAsync([new UserChatMessage("Hi")]))
        {
            updates.Add(update);
        }

        return updates;
    }

    private static string TextOf(IEnumerable<StreamingChatCompletionUpdate> updates) =>
        string.Concat(updates.SelectMany(update => update.ContentUpdate).Select(part => part.Text));

    private OpenAIClient Client(string tags)
    {
        var options = Options();
        options.AddPolicy(new HeaderPolicy("X-Dvara-Tags", tags), PipelinePosition.PerCall);
        return new OpenAIClient(new ApiKeyCredential(_tenant.Key), options);
    }

    private OpenAIClientOptions Options() => new() { Endpoint = new Uri(_environment.BaseAddress, "v1"), RetryPolicy = new ClientRetryPolicy(0) };

    private sealed class HeaderPolicy(string name, string value) : PipelinePolicy
    {
        public override void Process(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
        {
            message.Request.Headers.Set(name, value);
            ProcessNext(message, pipeline, currentIndex);
        }

        public override ValueTask ProcessAsync(PipelineMessage message, IReadOnlyList<PipelinePolicy> pipeline, int currentIndex)
        {
            message.Request.Headers.Set(name, value);
            return ProcessNextAsync(message, pipeline, currentIndex);
        }
    }
}

using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Gateway;

/// <summary>What crosses the gateway, in both directions, against an upstream that answers in the bytes of the real API.</summary>
public sealed class ForwardingTests : IAsyncLifetime
{
    private const string Chat = """{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}""";
    private const string Streamed = """{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}]}""";

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

    [Fact]
    public async Task WholeAnswer_ReachesClientByteForByte_WithItsCost()
    {
        using var answer = await _tenant.PostAsync("/v1/chat/completions", Chat);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(Recorded.Chat(), await answer.Content.ReadAsStringAsync());
        // 176 uncached x 2.50 + 1,024 cached x 1.25 + 9 output x 10.00 per million.
        Assert.Equal("0.00181", answer.Headers.GetValues("X-Dvara-Cost-Usd").Single());
        var line = Assert.Single(await _tenant.CostsAsync());
        Assert.Equal("SETTLED", (string?)line["state"]);
        Assert.Equal(1200, (long?)line["inputTokens"]);
        Assert.Equal(1024, (long?)line["cachedInputTokens"]);
        Assert.Equal(9, (long?)line["outputTokens"]);
        Assert.Equal("0.00181", line["totalCostUsd"]!.ToJsonString());
        Assert.Equal("gpt-4o-2024-08-06", (string?)line["model"]);
        Assert.Equal("gpt-4o", (string?)line["requestedModel"]);
        Assert.Equal(answer.Headers.GetValues("x-request-id").Single(), (string?)line["requestId"]);
    }

    [Fact]
    public async Task Key_NamedAsAHeaderOfTheConnection_IsStillAsked_AndTheProvidersIsStillSent()
    {
        var head = $"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: authorization, close\r\nContent-Type: application/json\r\nContent-Length: {Chat.Length}\r\n";

        var (without, _) = await RawHttp.SendAsync(_environment.BaseAddress, $"{head}\r\n{Chat}", TestContext.Current.CancellationToken);
        var (with, _) = await RawHttp.SendAsync(_environment.BaseAddress, $"{head}Authorization: Bearer {_tenant.Key}\r\n\r\n{Chat}", TestContext.Current.CancellationToken);

        Assert.Equal((401, 200), (without, with));
        Assert.Equal($"Bearer {FakeUpstream.Credential}", Assert.Single(_upstream.Calls).Headers["Authorization"]);
    }

    [Fact]
    public async Task Requests_SentBehindEachOther_AreAnsweredInOrder_WithARowEach()
    {
        string Request(string path, string body, string connection) =>
            $"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: {connection}\r\nAuthorization: Bearer {_tenant.Key}\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}";

        var (_, text) = await RawHttp.SendAsync(
            _environment.BaseAddress,
            Request("/v1/chat/completions", Chat, "keep-alive") + Request("/v1/embeddings", """{"model":"text-embedding-3-small","input":"Hi"}""", "close"),
            TestContext.Current.CancellationToken);

        Assert.Equal(2, text.Split("HTTP/1.1 200 OK").Length - 1);
        Assert.InRange(text.IndexOf("chat.completion", StringComparison.Ordinal), 0, text.IndexOf("\"embedding\"", StringComparison.Ordinal));
        Assert.Equal(2, (await _tenant.CostsAsync()).Count);
    }

    [Fact]
    public async Task Stream_WithoutAskedUsage_LooksAsIfNobodyHadAsked()
    {
        using var answer = await _tenant.PostAsync("/v1/chat/completions", Streamed);

        Assert.Equal(Recorded.ChatStream(usage: false), await answer.Content.ReadAsStringAsync());
        Assert.Equal("""{"stream_options":{"include_usage":true},"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}]}""",
            Assert.Single(_upstream.Calls).Text);
        Assert.Equal("0.00181", Assert.Single(await _tenant.CostsAsync())["totalCostUsd"]!.ToJsonString());
    }

    [Fact]
    public async Task Stream_WithAskedUsage_PassesUntouched()
    {
        const string body = """{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"}]}""";

        using var answer = await _tenant.PostAsync("/v1/chat/completions", body);

        Assert.Equal(Recorded.ChatStream(usage: true), await answer.Content.ReadAsStringAsync());
        Assert.Equal(body, Assert.Single(_upstream.Calls).Text);
    }

    [Fact]
    public async Task Request_TagsAndScript_StayHere_AndTheRestPassesUnchanged()
    {
        const string body = """{ "x_unknown" : [1, 2.50, "é\u00e9"],"model":"openai/gpt-4o", "metadata":{"tags":{"Team":"a"},"keep":"me"},"messages":[{"role":"user","content":"Hi"}] }""";

        using var answer = await _tenant.PostAsync("/v1/chat/completions", body);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var sent = JsonNode.Parse(Assert.Single(_upstream.Calls).Text)!.AsObject();
        Assert.Equal("gpt-4o", (string?)sent["model"]);
        Assert.Equal("""{"keep":"me"}""", sent["metadata"]!.ToJsonString());
        Assert.Contains(""" "x_unknown" : [1, 2.50, "é\u00e9"],""", _upstream.Calls.Single().Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Headers_CredentialsStayOnTheirSide()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(Chat, Encoding.UTF8, "application/json") };
        request.Headers.Add("x-api-key", _tenant.Key);
        request.Headers.Add("api-key", _tenant.Key);
        request.Headers.Add("X-Auth", $"Bearer {_tenant.Key}");
        request.Headers.Add("Cookie", "session=1");
        request.Headers.Add("X-Forwarded-For", "10.0.0.1");
        request.Headers.Add("OpenAI-Organization", "org-client");
        request.Headers.Add("X-HTTP-Method-Override", "DELETE");
        request.Headers.Add("Idempotency-Key", "order-7");

        using var answer = await _tenant.Client.SendAsync(request);

        var sent = Assert.Single(_upstream.Calls).Headers;
        Assert.Equal("Bearer " + FakeUpstream.Credential, sent["Authorization"]);
        Assert.Equal("order-7", sent["Idempotency-Key"]);
        Assert.DoesNotContain(sent, header => header.Value.Contains(_tenant.Key, StringComparison.Ordinal));
        Assert.All(["x-api-key", "Cookie", "X-Forwarded-For", "OpenAI-Organization", "X-HTTP-Method-Override", "Accept-Encoding"],
            name => Assert.False(sent.ContainsKey(name), name));
        Assert.Equal(_upstream.BaseUrl.Authority, sent["Host"]);
        Assert.All(["Set-Cookie", "openai-organization", "Server"], name => Assert.False(answer.Headers.Contains(name), name));
        Assert.Equal("9999", answer.Headers.GetValues("x-ratelimit-remaining-requests").Single());
    }

    [Fact]
    public async Task StreamOptions_RejectedByHost_AreDroppedAfterOne400()
    {
        _upstream.Answer = (httpContext, call) => call.Text.Contains("stream_options", StringComparison.Ordinal)
            ? Recorded.WriteAsync(httpContext, "application/json", """{"error":{"message":"Unrecognized request argument supplied: stream_options","type":"invalid_request_error","param":null,"code":null}}"""u8.ToArray(), 400)
            : Recorded.AnswerAsync(httpContext, call);

        using var first = await _tenant.PostAsync("/v1/chat/completions", Streamed);
        using var second = await _tenant.PostAsync("/v1/chat/completions", Streamed);

        Assert.Equal(Recorded.ChatStream(usage: false), await first.Content.ReadAsStringAsync());
        Assert.Equal(Recorded.ChatStream(usage: false), await second.Content.ReadAsStringAsync());
        Assert.Equal(3, _upstream.Calls.Count);
        var lines = await _tenant.CostsAsync();
        Assert.Equal(["ESTIMATED", "ESTIMATED", "FAILED"], lines.Select(l => (string)l["state"]!).Order(StringComparer.Ordinal));
        // Our own count of the same text: 9 tokens of output, as the provider counts.
        Assert.All(lines.Where(l => (string?)l["state"] == "ESTIMATED"), l => Assert.Equal(Recorded.CompletionTokens, (long?)l["outputTokens"]));
    }

    [Theory]
    [InlineData("""{"model":"gpt-4o","stream":true,"tool_choice":"stream_options","messages":[{"role":"user","content":"Hi"}]}""", 2)]
    [InlineData("""{"model":"gpt-4o","stream":true,"stream_options":{"x":1},"messages":[{"role":"user","content":"Hi"}]}""", 1)]
    public async Task StreamOptions_ThatAClientHasRejected_AreAskedForStill(string wrong, int calls)
    {
        _upstream.Answer = (httpContext, call) => call.Text.Contains("\"x\":1", StringComparison.Ordinal) || call.Text.Contains("tool_choice", StringComparison.Ordinal)
            ? Recorded.WriteAsync(httpContext, "application/json", """{"error":{"message":"Invalid value: 'stream_options'.","type":"invalid_request_error","param":null,"code":null}}"""u8.ToArray(), 400)
            : Recorded.AnswerAsync(httpContext, call);

        using var refused = await _tenant.PostAsync("/v1/chat/completions", wrong);
        using var next = await _tenant.PostAsync("/v1/chat/completions", Streamed);

        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("Invalid value", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        await next.Content.ReadAsStringAsync();
        Assert.Equal(calls + 1, _upstream.Calls.Count);
        Assert.Single(await _tenant.CostsAsync(), line => (string?)line["state"] == "SETTLED");
    }

    [Fact]
    public async Task ProviderRefusal_KeepsStatusAndBody_WithoutTheCredential()
    {
        _upstream.Answer = (httpContext, _) => Recorded.WriteAsync(httpContext, "application/json",
            Encoding.UTF8.GetBytes($$$"""{"error":{"message":"Incorrect API key provided: {{{FakeUpstream.Credential}}}.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"""), 401);

        using var answer = await _tenant.PostAsync("/v1/chat/completions", Chat);

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Equal("""{"error":{"message":"Incorrect API key provided: ***.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}""", await answer.Content.ReadAsStringAsync());
        Assert.Equal("FAILED", (string?)Assert.Single(await _tenant.CostsAsync())["state"]);
    }

    [Fact]
    public async Task Embeddings_AreMeteredFromTheirUsage()
    {
        using var answer = await _tenant.PostAsync("/v1/embeddings", """{"model":"text-embedding-3-small","input":"Hello world","encoding_format":"base64"}""");

        Assert.Equal(Recorded.Embedding, await answer.Content.ReadAsStringAsync());
        var line = Assert.Single(await _tenant.CostsAsync());
        Assert.Equal(5, (long?)line["inputTokens"]);
        Assert.Equal("0.0000001", line["totalCostUsd"]!.ToJsonString());
    }

    [Fact]
    public async Task LargeWholeAnswer_PassesByteForByte_AndIsMetered()
    {
        var vector = string.Join(',', Enumerable.Range(0, 400_000).Select(i => "0.0" + i));
        var body = $$$"""{"object":"list","data":[{"object":"embedding","index":0,"embedding":[{{{vector}}}]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":77,"total_tokens":77}}""";
        Assert.True(body.Length > 3 << 20);
        _upstream.Answer = (httpContext, _) => Recorded.WriteAsync(httpContext, "application/json", Encoding.UTF8.GetBytes(body));

        using var answer = await _tenant.PostAsync("/v1/embeddings", """{"model":"text-embedding-3-small","input":"Hello world"}""");

        Assert.Equal(body, await answer.Content.ReadAsStringAsync());
        Assert.False(answer.Headers.Contains("X-Dvara-Cost-Usd"));
        var line = Assert.Single(await _tenant.CostsAsync());
        Assert.Equal("SETTLED", (string?)line["state"]);
        Assert.Equal(77, (long?)line["inputTokens"]);
    }

    [Fact]
    public async Task RequestLookup_ShowsCostOfAStream_ToItsOwnKeyOnly()
    {
        using var streamed = await _tenant.PostAsync("/v1/chat/completions", Streamed);
        await streamed.Content.ReadAsStringAsync();
        var id = streamed.Headers.GetValues("x-request-id").Single();
        using var other = await TestTenant.CreateAsync(_environment, new JsonObject { ["name"] = "Other" });

        using var own = await _tenant.Client.GetAsync($"/v1/requests/{id}");
        using var foreign = await other.Client.GetAsync($"/v1/requests/{id}");

        var shown = JsonNode.Parse(await own.Content.ReadAsStringAsync())!;
        Assert.Equal("0.00181", shown["totalCostUsd"]!.ToJsonString());
        Assert.Equal(HttpStatusCode.NotFound, foreign.StatusCode);
    }
}

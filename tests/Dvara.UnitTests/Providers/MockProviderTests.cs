using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Dvara.Domain;
using Dvara.Providers;
using Dvara.Providers.Mock;
using Dvara.Providers.OpenAI;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Dvara.UnitTests.Providers;

public sealed class MockProviderTests : IDisposable
{
    private const string Words = "This is the mock provider. It answers every request with the same words, so that a test can count on them.";

    private static readonly MockScript Script = new() { PromptTokens = 1000, CompletionTokens = 500, CachedTokens = 300, ReasoningTokens = 200 };

    private readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_777_777_777));
    private readonly HttpMessageInvoker _mock;

    public MockProviderTests() => _mock = new HttpMessageInvoker(new MockProviderHandler(_time));

    public void Dispose() => _mock.Dispose();

    [Fact]
    public async Task Chat_Unscripted_SaysItsSentenceAndCountsItself()
    {
        var answer = await AnswerAsync("chat/completions", Chat());

        Assert.Equal(Words, (string?)answer["choices"]![0]!["message"]!["content"]);
        Assert.Equal("stop", (string?)answer["choices"]![0]!["finish_reason"]);
        Assert.Equal("chat.completion", (string?)answer["object"]);
        Assert.Equal("gpt-4o", (string?)answer["model"]);
        Assert.Equal(1_777_777_777, (long)answer["created"]!);
        Assert.Equal(8, (long)answer["usage"]!["prompt_tokens"]!);
        Assert.Equal(24, (long)answer["usage"]!["completion_tokens"]!);
        Assert.Equal(32, (long)answer["usage"]!["total_tokens"]!);
    }

    [Fact]
    public async Task Chat_TheSameBody_GivesTheSameBytesAndAnotherBodyAnotherId()
    {
        var first = (await AnswerAsync("chat/completions", Chat())).ToJsonString();
        using var other = new HttpMessageInvoker(new MockProviderHandler(_time));
        using var again = await SendAsync("chat/completions", Chat(), mock: other);

        Assert.Equal(first, await again.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        // Across processes too.
        Assert.Contains("\"id\":\"chatcmpl-mock-", first, StringComparison.Ordinal);
        Assert.NotEqual((string?)JsonNode.Parse(first)!["id"], (string?)(await AnswerAsync("chat/completions", Chat("\"seed\":1")))["id"]);
    }

    [Fact]
    public async Task Chat_Scripted_ReportsTheScriptsNumbers()
    {
        using var answer = await SendAsync("chat/completions", Chat(), Script);

        var facts = OpenAiAnswer.Read(
            await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken), Endpoint.ChatCompletions);

        Assert.Equal(new TokenUsage { UncachedInput = 700, CacheRead = 300, Output = 300, Reasoning = 200 }, facts.Usage);
        Assert.False(facts.UsageClamped);
    }

    [Theory]
    [InlineData("\"metadata\":{\"mock\":{\"prompt_tokens\":\"1000\",\"completion_tokens\":\"500\"}},\"max_tokens\":7", 1000, 500L)]
    [InlineData("\"metadata\":{\"mock\":{\"completion_tokens\":\"500\"}}", null, 500L)]
    [InlineData("\"max_tokens\":7,\"n\":3", null, 21L)]
    [InlineData("\"n\":3", null, null)]
    public void Bound_OfAScriptedCall_IsTheScriptsNumbers(string members, int? input, long? output)
    {
        Assert.True(RequestReader.Read(Encoding.UTF8.GetBytes(Chat(members)), Endpoint.ChatCompletions, out var facts, out _));

        Assert.Equal(new RequestBound(input ?? facts.InputTextBytes, output), MockProviderHandler.Bound(facts));
        Assert.Equal(facts.InputTextBytes, RequestBound.Of(facts).InputTokens);
    }

    [Theory]
    [InlineData("chat/completions", true)]
    [InlineData("chat/completions", false)]
    [InlineData("completions", true)]
    public async Task Stream_WordByWord_SaysWhatTheWholeAnswerSays(string path, bool usage)
    {
        var endpoint = path == "completions" ? Endpoint.Completions : Endpoint.ChatCompletions;
        var body = Body(path, $"\"stream\":true,\"stream_options\":{{\"include_usage\":{(usage ? "true" : "false")}}}");
        using var answer = await SendAsync(path, body, Script);

        Assert.Equal("text/event-stream", answer.Content.Headers.ContentType!.MediaType);
        var stream = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        var events = ServerSentEvents.Data(stream);
        Assert.Equal("[DONE]", events[^1]);
        var chunks = events[..^1].Select(e => JsonNode.Parse(e)!).ToList();
        var said = chunks.Where(c => c["choices"]!.AsArray().Count > 0).Select(c => c["choices"]![0]!).Select(c => (string?)(c["text"] ?? c["delta"]!["content"]));
        Assert.Equal(Words, string.Concat(said));
        Assert.True(chunks.Count > Words.Split(' ').Length);
        Assert.Single(chunks.Select(c => (string?)c["id"]).Distinct());
        Assert.Equal(usage, chunks[^1]["choices"]!.AsArray().Count == 0);
        Assert.All(chunks, chunk => Assert.Equal(usage, chunk.AsObject().ContainsKey("usage")));

        var run = MeterRun.Of(new OpenAiStreamMeter(endpoint, "gpt-4o", hideUsage: true), Encoding.UTF8.GetBytes(stream));
        Assert.Equal(usage ? new TokenUsage { UncachedInput = 700, CacheRead = 300, Output = 300, Reasoning = 200 } : null, run.Facts.Usage);
        Assert.DoesNotContain("usage", run.Client, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_Events_ComeOneByOne()
    {
        using var answer = await SendAsync("chat/completions", Chat("\"stream\":true"));
        await using var stream = await answer.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        var buffer = new byte[64 * 1024];

        var read = await stream.ReadAsync(buffer, TestContext.Current.CancellationToken);

        Assert.EndsWith("\n\n", Encoding.UTF8.GetString(buffer, 0, read), StringComparison.Ordinal);
        Assert.Single(ServerSentEvents.Data(Encoding.UTF8.GetString(buffer, 0, read)));
        using var gone = new CancellationTokenSource();
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stream.ReadAsync(buffer, gone.Token).AsTask());
    }

    [Fact]
    public async Task Chat_AnOutputLimit_CutsTheWords()
    {
        var answer = await AnswerAsync("chat/completions", Chat("\"max_tokens\":3"));

        Assert.Equal("This is the", (string?)answer["choices"]![0]!["message"]!["content"]);
        Assert.Equal("length", (string?)answer["choices"]![0]!["finish_reason"]);
        Assert.Equal(3, (long)answer["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Chat_SeveralChoices_EachSayItAndAllAreCounted()
    {
        var answer = await AnswerAsync("chat/completions", Chat("\"n\":3"));

        Assert.Equal([0, 1, 2], answer["choices"]!.AsArray().Select(c => (int)c!["index"]!));
        Assert.Equal(3 * 24, (long)answer["usage"]!["completion_tokens"]!);
    }

    [Fact]
    public async Task Completions_MoreChoicesThanItGives_AreRefused()
    {
        var prompts = string.Join(',', Enumerable.Repeat("\"\"", 17));

        using var most = await SendAsync("completions", $"{{\"model\":\"m\",\"prompt\":[{prompts[..^3]}],\"n\":128}}");
        using var more = await SendAsync("completions", $"{{\"model\":\"m\",\"prompt\":[{prompts}],\"n\":128}}");

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.BadRequest), (most.StatusCode, more.StatusCode));
    }

    [Theory]
    [InlineData(400, "invalid_request_error")]
    [InlineData(401, "authentication_error")]
    [InlineData(403, "permission_error")]
    [InlineData(429, "rate_limit_error")]
    [InlineData(503, "server_error")]
    public async Task Send_AScriptedStatus_IsAnsweredInOpenAisShape(int status, string type)
    {
        using var answer = await SendAsync("chat/completions", Chat("\"stream\":true"), new MockScript { Status = status });

        var error = JsonNode.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["error"]!;
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.Equal(type, (string?)error["type"]);
        Assert.Equal("application/json", answer.Content.Headers.ContentType!.MediaType);
    }

    [Fact]
    public async Task Send_AScriptedLatency_PassesBeforeTheAnswer()
    {
        var answer = SendAsync("chat/completions", Chat(), new MockScript { LatencyMs = 250 });

        _time.Advance(TimeSpan.FromMilliseconds(249));
        Assert.False(answer.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        using var answered = await answer.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, answered.StatusCode);
    }

    [Theory]
    [InlineData("POST", "chat/completions", """{"model":"m"}""", 400, "messages")]
    [InlineData("POST", "chat/completions", "{", 400, null)]
    [InlineData("POST", "embeddings", """{"model":"m","input":"a","dimensions":0}""", 400, "dimensions")]
    [InlineData("POST", "embeddings", """{"model":"m","input":"a","dimensions":"8"}""", 400, "dimensions")]
    [InlineData("POST", "embeddings", """{"model":"m","input":"a","encoding_format":"x"}""", 400, "dimensions")]
    [InlineData("POST", "responses", "{}", 404, null)]
    [InlineData("GET", "chat/completions", "", 404, null)]
    public async Task Send_WhatOpenAiWouldRefuse_IsRefused(string method, string path, string body, int status, string? param)
    {
        using var answer = await SendAsync(path, body, method: method);

        Assert.Equal(status, (int)answer.StatusCode);
        var error = JsonNode.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["error"]!;
        Assert.Equal(param, (string?)error["param"]);
    }

    [Fact]
    public async Task Models_AreThoseWithAPrice()
    {
        using var answer = await SendAsync("models", "", method: "GET");

        var models = JsonNode.Parse(await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!["data"]!.AsArray();
        Assert.Equal(["gpt-4o", "gpt-4o-mini", "claude-sonnet", "text-embedding-3-small"], models.Select(m => (string)m!["id"]!));
    }

    [Fact]
    public async Task Embeddings_AreUnitVectorsOfTheirInputAlone()
    {
        var answer = await AnswerAsync("embeddings", """{"model":"text-embedding-3-small","input":["a","b","a"],"dimensions":8}""");
        var alone = await AnswerAsync("embeddings", """{"model":"x","input":"a","dimensions":8}""");

        var vectors = answer["data"]!.AsArray().Select(Vector).ToArray();
        Assert.Equal(vectors[0], vectors[2]);
        Assert.NotEqual(vectors[0], vectors[1]);
        Assert.Equal(vectors[0], Vector(alone["data"]![0]));
        Assert.All(vectors, vector => Assert.Equal(1, vector.Sum(v => (double)v * v), tolerance: 1e-5));
        Assert.Equal([0, 1, 2], answer["data"]!.AsArray().Select(d => (int)d!["index"]!));
        Assert.Equal(3, (long)answer["usage"]!["prompt_tokens"]!);
        Assert.Equal(3, (long)answer["usage"]!["total_tokens"]!);
        Assert.False(answer["usage"]!.AsObject().ContainsKey("completion_tokens"));
    }

    [Fact]
    public async Task Embeddings_InBase64_AreTheSameNumbers()
    {
        const string Input = "\"model\":\"e\",\"input\":[1,2,3]";
        var numbers = await AnswerAsync("embeddings", $"{{{Input}}}");
        var text = await AnswerAsync("embeddings", $"{{{Input},\"encoding_format\":\"base64\"}}");

        var vector = Vector(numbers["data"]![0]);
        Assert.Equal(1536, vector.Length);
        Assert.Equal(vector, MemoryMarshal.Cast<byte, float>(Convert.FromBase64String((string)text["data"]![0]!["embedding"]!)).ToArray());
    }

    [Fact]
    public async Task Embeddings_MoreInputsThanOpenAiTakes_AreRefused()
    {
        using var most = await SendAsync("embeddings", Inputs(2048));
        using var more = await SendAsync("embeddings", Inputs(2049));

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.BadRequest), (most.StatusCode, more.StatusCode));

        static string Inputs(int count) => $"{{\"model\":\"e\",\"dimensions\":1,\"input\":[{string.Join(',', Enumerable.Repeat("\"a\"", count))}]}}";
    }

    [Fact]
    public async Task Send_AnyScript_IsReportedAsWritten() => await Gen.Select(Gen.Long[0, 1_000_000], Gen.Long[0, 1_000_000], Gen.Bool).SampleAsync(
        async (prompt, completion, stream) =>
        {
            var body = Chat($"\"stream\":{(stream ? "true,\"stream_options\":{\"include_usage\":true}" : "false")}");
            using var answer = await SendAsync("chat/completions", body, new MockScript { PromptTokens = prompt, CompletionTokens = completion });
            var bytes = await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
            var usage = stream
                ? MeterRun.Of(new OpenAiStreamMeter(Endpoint.ChatCompletions, "gpt-4o", hideUsage: true), bytes).Facts.Usage
                : OpenAiAnswer.Read(bytes, Endpoint.ChatCompletions).Usage;
            Assert.Equal((prompt, completion), (usage!.InputTokens, usage.OutputTokens));
        },
        iter: 50);

    private static float[] Vector(JsonNode? embedding) => [.. embedding!["embedding"]!.AsArray().Select(v => (float)v!)];

    private static string Chat(string? more = null) => Body("chat/completions", more);

    private static string Body(string path, string? more) =>
        $$"""{"model":"gpt-4o",{{(more is null ? "" : more + ",")}}{{(path == "completions" ? "\"prompt\":\"hi\"" : "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]")}}}""";

    private async Task<JsonNode> AnswerAsync(string path, string body)
    {
        using var answer = await SendAsync(path, body);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(answer.StatusCode == HttpStatusCode.OK, text);
        return JsonNode.Parse(text)!;
    }

    private async Task<HttpResponseMessage> SendAsync(
        string path, string body, MockScript? script = null, string method = "POST", HttpMessageInvoker? mock = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), "http://mock/v1/" + path) { Content = new StringContent(body) };
        request.Options.Set(MockProviderHandler.Script, script);
        return await (mock ?? _mock).SendAsync(request, TestContext.Current.CancellationToken);
    }
}

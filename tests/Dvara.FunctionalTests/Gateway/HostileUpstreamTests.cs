using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Gateway;

/// <summary>The provider is untrusted input: whatever it does, the client gets a clear answer and the attempt exactly one charge.</summary>
public sealed class HostileUpstreamTests : IAsyncLifetime
{
    private const string Chat = """{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]}""";
    private const string Streamed = """{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}]}""";

    private FakeUpstream _upstream = null!;
    private GatewayEnvironment _environment = null!;
    private TestTenant _tenant = null!;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeUpstream.StartAsync();
        var settings = _upstream.Settings;
        settings["Dvara:Gateway:FirstByteSeconds"] = "1";
        settings["Dvara:Gateway:IdleSeconds"] = "1";
        _environment = await GatewayEnvironment.StartAsync(settings);
        _tenant = await TestTenant.CreateAsync(_environment);
    }

    public async ValueTask DisposeAsync()
    {
        _tenant.Dispose();
        await _environment.DisposeAsync();
        await _upstream.DisposeAsync();
    }

    [Theory]
    [InlineData("text/html", "<html>Bad gateway</html>")]
    [InlineData("application/json", "")]
    [InlineData("application/json", """{"id":"chatcmpl-1","choices":[{"ind""")]
    [InlineData("application/json", "[]")]
    public async Task Success_ThatIsNoAnswer_Is502AndUnresolved(string type, string body)
    {
        _upstream.Answer = (httpContext, _) => Recorded.WriteAsync(httpContext, type, Encoding.UTF8.GetBytes(body));

        await ExpectAsync(Chat, 502, "provider_error", "UNRESOLVED");
    }

    [Fact]
    public async Task Success_ThatIsNoAnswerButSaysWhatItBills_Is502AndSettled()
    {
        _upstream.Answer = (httpContext, _) => Recorded.WriteAsync(
            httpContext, "application/json", """{"id":"x","usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"""u8.ToArray());

        using var answer = await _tenant.PostAsync("/v1/chat/completions", Chat);

        Assert.Equal(HttpStatusCode.BadGateway, answer.StatusCode);
        var line = Assert.Single(await _tenant.CostsAsync());
        Assert.Equal(("SETTLED", 0.0000225m), ((string?)line["state"], (decimal)line["totalCostUsd"]!));
    }

    [Theory]
    [InlineData(204)]
    [InlineData(205)]
    public async Task Success_WithoutABody_Is502AndUnresolved_WhateverItsType(int status)
    {
        _upstream.Answer = (httpContext, _) =>
        {
            httpContext.Response.StatusCode = status;
            httpContext.Response.ContentType = "text/event-stream";
            return Task.CompletedTask;
        };

        await ExpectAsync(Chat, 502, "provider_error", "UNRESOLVED");
    }

    [Theory]
    [InlineData(500, 502, "provider_error")]
    [InlineData(503, 503, "provider_unavailable")]
    [InlineData(504, 504, "provider_timeout")]
    [InlineData(302, 502, "provider_error")]
    [InlineData(508, 502, "provider_error")]
    public async Task Failure_IsReplaced_AndCostsNothing(int status, int expected, string code)
    {
        _upstream.Answer = (httpContext, _) =>
        {
            httpContext.Response.Headers.Location = "http://169.254.169.254/";
            httpContext.Response.Headers.RetryAfter = "3";
            // A loop of its own, or through another installation, is not one through this gateway.
            httpContext.Response.Headers["CDN-Loop"] = "dvara-0123456789abcdef";
            return Recorded.WriteAsync(httpContext, "text/html", "<h1>stack trace</h1>"u8.ToArray(), status);
        };

        var answer = await ExpectAsync(Chat, expected, code, "FAILED");

        Assert.DoesNotContain("stack trace", answer, StringComparison.Ordinal);
        Assert.Single(_upstream.Calls);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("{\"prompt_tokens\":-1,\"completion_tokens\":9,\"total_tokens\":8}")]
    [InlineData("{\"prompt_tokens\":1.5,\"completion_tokens\":9,\"total_tokens\":10}")]
    [InlineData("{\"prompt_tokens\":\"1200\",\"completion_tokens\":9}")]
    [InlineData("{\"prompt_tokens\":18446744073709551616,\"completion_tokens\":9}")]
    public async Task Usage_ThatCannotBeBelieved_IsEstimated(string usage)
    {
        _upstream.Answer = (httpContext, _) => Recorded.WriteAsync(httpContext, "application/json", Encoding.UTF8.GetBytes(Recorded.Chat(usage)));

        using var answer = await _tenant.PostAsync("/v1/chat/completions", Chat);

        Assert.Equal(Recorded.Chat(usage), await answer.Content.ReadAsStringAsync());
        var line = Assert.Single(await _tenant.CostsAsync());
        Assert.Equal("ESTIMATED", (string?)line["state"]);
        Assert.True((bool?)line["estimated"]);
        Assert.Equal(Recorded.CompletionTokens, (long?)line["outputTokens"]);
        Assert.InRange((long)line["inputTokens"]!, 1, 20);
    }

    [Fact]
    public async Task Stream_ResetInTheMiddle_EndsInAnErrorEventWithoutDone_AndIsEstimated()
    {
        // A reset overtakes what was sent before it: the line may break only when that has arrived.
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstream.Answer = async (httpContext, _) =>
        {
            var stream = Recorded.ChatStream(usage: true);
            await Recorded.WriteAsync(httpContext, "text/event-stream", Encoding.UTF8.GetBytes(stream[..(stream.IndexOf(" can", StringComparison.Ordinal) + 2)]));
            await httpContext.Response.Body.FlushAsync();
            await arrived.Task;
            httpContext.Abort();
        };

        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(Streamed, Encoding.UTF8, "application/json") };
        using var answer = await _tenant.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
        var text = "";
        while (await reader.ReadLineAsync() is { } read)
        {
            text += read + "\n";
            if (read.Contains(" How", StringComparison.Ordinal))
            {
                arrived.SetResult();
            }
        }

        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        var last = text.TrimEnd('\n').Split("\n\n")[^1];
        Assert.StartsWith("data: {\"error\":", last, StringComparison.Ordinal);
        Assert.Equal("provider_error", (string?)JsonNode.Parse(last["data: ".Length..])!["error"]!["code"]);
        var line = Assert.Single(await _tenant.CostsAsync());
        Assert.Equal("ESTIMATED", (string?)line["state"]);
        // "Hello", "!" and " How" were delivered.
        Assert.Equal(3, (long?)line["outputTokens"]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Stream_WithoutDone_IsWholeBehindItsFinishReason_AndCutBeforeIt(bool finished)
    {
        var whole = Recorded.ChatStream(usage: false);
        var sent = whole[..(finished ? whole.IndexOf("data: [DONE]", StringComparison.Ordinal) : whole.IndexOf("\"delta\":{}", StringComparison.Ordinal))];
        sent = sent[..(sent.LastIndexOf("\n\n", StringComparison.Ordinal) + 2)];
        _upstream.Answer = (httpContext, _) => Recorded.WriteAsync(httpContext, "text/event-stream", Encoding.UTF8.GetBytes(sent));

        using var answer = await _tenant.PostAsync("/v1/chat/completions", Streamed);
        var text = await answer.Content.ReadAsStringAsync();

        Assert.StartsWith(sent, text, StringComparison.Ordinal);
        Assert.Equal(finished ? "" : "data: {\"error\":{\"message\":\"The answer of the provider broke off (stream_cut)", text[sent.Length..].Split(". What")[0]);
        var line = Assert.Single(await _tenant.CostsAsync());
        Assert.Equal(("ESTIMATED", Recorded.CompletionTokens), ((string?)line["state"], (int)line["outputTokens"]!));
        Assert.Equal(finished ? null : "stream_cut", await OutcomeAsync());
    }

    [Fact]
    public async Task Stream_WithUsageButWithoutDone_IsSettledFromIt()
    {
        var sent = Recorded.ChatStream(usage: true).Replace("data: [DONE]\n\n", "", StringComparison.Ordinal);
        _upstream.Answer = (httpContext, _) => Recorded.WriteAsync(httpContext, "text/event-stream", Encoding.UTF8.GetBytes(sent));

        using var answer = await _tenant.PostAsync("/v1/chat/completions", Streamed);

        Assert.Equal(Recorded.ChatStream(usage: false).Replace("data: [DONE]\n\n", "", StringComparison.Ordinal), await answer.Content.ReadAsStringAsync());
        Assert.Equal("SETTLED", (string?)Assert.Single(await _tenant.CostsAsync())["state"]);
        Assert.Null(await OutcomeAsync());
    }

    [Fact]
    public async Task Stream_ThatFallsSilent_IsCutAndSettled()
    {
        var gone = new TaskCompletionSource();
        _upstream.Answer = async (httpContext, _) =>
        {
            httpContext.RequestAborted.Register(gone.SetResult);
            await Recorded.WriteAsync(httpContext, "text/event-stream", ": keep-alive\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n"u8.ToArray());
            await httpContext.Response.Body.FlushAsync();
            await gone.Task;
        };

        using var answer = await _tenant.PostAsync("/v1/chat/completions", Streamed);
        var text = await answer.Content.ReadAsStringAsync();

        Assert.Contains("provider_timeout", text, StringComparison.Ordinal);
        Assert.Equal("ESTIMATED", (string?)Assert.Single(await _tenant.CostsAsync())["state"]);
        await gone.Task.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Silence_BeforeTheAnswer_Is504AndUnresolved()
    {
        var gone = new TaskCompletionSource();
        _upstream.Answer = (httpContext, _) =>
        {
            httpContext.RequestAborted.Register(gone.SetResult);
            return gone.Task;
        };

        await ExpectAsync(Chat, 504, "provider_timeout", "UNRESOLVED");
    }

    [Fact]
    public async Task Reset_BeforeTheAnswer_Is502AndUnresolved()
    {
        _upstream.Answer = (httpContext, _) =>
        {
            httpContext.Abort();
            return Task.CompletedTask;
        };

        await ExpectAsync(Chat, 502, "provider_error", "UNRESOLVED");
    }

    [Fact]
    public async Task Provider_ThatCannotBeReached_Is503AndFailed()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        taken.Stop();
        await using var environment = await GatewayEnvironment.StartAsync(new Dictionary<string, string?> { ["DVARA_OPENAI_BASE_URL"] = $"http://127.0.0.1:{port}/v1" });
        using var tenant = await TestTenant.CreateAsync(environment);

        using var answer = await tenant.PostAsync("/v1/chat/completions", Chat);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal("FAILED", (string?)Assert.Single(await tenant.CostsAsync())["state"]);
    }

    [Fact]
    public async Task Compressed_ThoughNotAskedFor_IsReadAllTheSame()
    {
        _upstream.Answer = async (httpContext, _) =>
        {
            httpContext.Response.ContentType = "application/json";
            httpContext.Response.Headers.ContentEncoding = "gzip";
            await using var gzip = new System.IO.Compression.GZipStream(httpContext.Response.Body, System.IO.Compression.CompressionLevel.Fastest);
            await gzip.WriteAsync(Encoding.UTF8.GetBytes(Recorded.Chat()));
        };

        using var answer = await _tenant.PostAsync("/v1/chat/completions", Chat);

        Assert.Equal(Recorded.Chat(), await answer.Content.ReadAsStringAsync());
        Assert.Equal("SETTLED", (string?)Assert.Single(await _tenant.CostsAsync())["state"]);
    }

    [Fact]
    public async Task Stream_InSingleBytes_PassesUnchanged_AndIsMetered()
    {
        _upstream.Answer = (httpContext, _) =>
            Recorded.WriteInSingleBytesAsync(httpContext, Recorded.ChatStream(usage: true).Replace("Hello", "Grüße 👋", StringComparison.Ordinal));

        using var answer = await _tenant.PostAsync("/v1/chat/completions", Streamed);

        Assert.Equal(Recorded.ChatStream(usage: false).Replace("Hello", "Grüße 👋", StringComparison.Ordinal), await answer.Content.ReadAsStringAsync());
        Assert.Equal("0.00181", Assert.Single(await _tenant.CostsAsync())["totalCostUsd"]!.ToJsonString());
    }

    /// <summary>Of the only charge.</summary>
    private async Task<string?> OutcomeAsync()
    {
        await using var ledger = await _environment.ConnectAsync();
        return await ledger.QuerySingleAsync<string?>("SELECT outcome FROM charges");
    }

    private async Task<string> ExpectAsync(string body, int status, string code, string state)
    {
        using var answer = await _tenant.PostAsync("/v1/chat/completions", body);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.Equal(status, (int)answer.StatusCode);
        var error = JsonNode.Parse(text)!["error"]!;
        Assert.Equal(code, (string?)error["code"]);
        Assert.Equal(answer.Headers.GetValues("x-request-id").Single(), (string?)error["request_id"]);
        var line = Assert.Single(await _tenant.CostsAsync());
        Assert.Equal(state, (string?)line["state"]);
        Assert.Equal("0", line["totalCostUsd"]!.ToJsonString());
        return text;
    }
}

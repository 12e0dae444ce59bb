using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Clients;

/// <summary>
/// The official Python client's requests, byte for byte as it puts them on the wire (header order, spelling and compact JSON of
/// openai 2.x over httpx), replayed over a raw connection.
/// </summary>
public sealed class OpenAiPythonTests
{
    private const string Whole =
        """{"messages":[{"role":"user","content":"Grüße 👋"}],"model":"gpt-4o","user":"end-user-1","metadata":{"tags":{"project":"apollo"}}}""";

    private const string Streamed =
        """{"messages":[{"role":"user","content":"Hi"}],"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true},"metadata":{"tags":{"project":"apollo"}}}""";

    private const string Embedding = """{"input":"Hello world","model":"text-embedding-3-small","encoding_format":"base64"}""";

    [Theory]
    [InlineData("chat/completions", Whole, "end-user-1")]
    [InlineData("chat/completions", Streamed, null)]
    [InlineData("embeddings", Embedding, null)]
    public async Task Request_IsAnsweredAndCharged(string path, string body, string? endUser)
    {
        await using var upstream = await FakeUpstream.StartAsync();
        await using var environment = await GatewayEnvironment.StartAsync(upstream.Settings);
        using var tenant = await TestTenant.CreateAsync(environment);

        var (status, text) = await RawHttp.SendAsync(environment.BaseAddress, RequestOf(environment, tenant.Key, path, body), TestContext.Current.CancellationToken);

        Assert.Equal(200, status);
        Assert.Contains("x-request-id: ", text, StringComparison.Ordinal);
        var line = Assert.Single(await tenant.CostsAsync());
        Assert.Equal("SETTLED", (string?)line["state"]);
        Assert.Equal(endUser, (string?)line["endUser"]);
        Assert.Equal(path == "embeddings" ? "{}" : """{"project":"apollo"}""", line["tags"]!.ToJsonString());
        Assert.DoesNotContain("apollo", Assert.Single(upstream.Calls).Text, StringComparison.Ordinal);
    }

    private static string RequestOf(GatewayEnvironment environment, string key, string path, string body)
    {
        // RawHttp sends Latin-1: the body goes as the bytes of its UTF-8.
        var bytes = System.Text.Encoding.UTF8.GetBytes(body);
        return $"""
            POST /v1/{path} HTTP/1.1
            Host: {environment.BaseAddress.Authority}
            Accept-Encoding: gzip, deflate
            Connection: close
            Accept: application/json
            Content-Type: application/json
            User-Agent: OpenAI/Python 2.8.1
            X-Stainless-Lang: python
            X-Stainless-Package-Version: 2.8.1
            X-Stainless-OS: Linux
            X-Stainless-Arch: x64
            X-Stainless-Runtime: CPython
            X-Stainless-Runtime-Version: 3.12.3
            Authorization: Bearer {key}
            X-Stainless-Async: false
            x-stainless-retry-count: 0
            x-stainless-read-timeout: 600
            Content-Length: {bytes.Length}


            """.ReplaceLineEndings("\r\n") + System.Text.Encoding.Latin1.GetString(bytes);
    }
}

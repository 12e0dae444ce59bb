using System.Text;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Clients;

/// <summary>
/// What the official Python client puts on the wire, byte for byte (<c>tests/clients/python</c>), replayed over a raw connection.
/// Only host and key are ours.
/// </summary>
public sealed class OpenAiPythonTests
{
    // The client keeps its connection; another request behind its own closes it.
    private const string Goodbye = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

    [Theory]
    [InlineData("2.54.0", "User-Agent: OpenAI/Python 2.54.0")]
    [InlineData("3.3.1", "user-agent: OpenAI/Python 3.3.1")]
    public async Task Requests_AreAnsweredAndCharged(string version, string agent)
    {
        await using var upstream = await FakeUpstream.StartAsync();
        await using var environment = await GatewayEnvironment.StartAsync(upstream.Settings);
        using var tenant = await TestTenant.CreateAsync(environment);
        foreach (var (name, content) in ((string, string)[])[("chat", Recorded.Text), ("stream", "data: [DONE]"), ("embedding", "\"embedding\"")])
        {
            var request = await ReadAsync(version, name);
            Assert.Contains($"\r\n{agent}\r\n", request, StringComparison.Ordinal);
            request = request.Replace("localhost:8080", environment.BaseAddress.Authority, StringComparison.Ordinal).Replace("gw_KEY", tenant.Key, StringComparison.Ordinal);

            var (status, text) = await RawHttp.SendAsync(environment.BaseAddress, request + Goodbye, TestContext.Current.CancellationToken);

            Assert.Equal(200, status);
            Assert.Contains("x-request-id: ", text, StringComparison.Ordinal);
            Assert.Contains(content, text, StringComparison.Ordinal);
        }

        var lines = (await tenant.CostsAsync()).Reverse().ToList();
        Assert.Equal(["SETTLED", "SETTLED", "SETTLED"], lines.Select(line => (string?)line["state"]));
        Assert.Equal(["end-user-1", null, null], lines.Select(line => (string?)line["endUser"]));
        Assert.Equal(["""{"project":"apollo"}""", """{"project":"apollo"}""", "{}"], lines.Select(line => line["tags"]!.ToJsonString()));
        Assert.All(upstream.Calls, call => Assert.DoesNotContain("apollo", call.Text, StringComparison.Ordinal));
        Assert.Contains("Grüße 👋", upstream.Calls.First().Text, StringComparison.Ordinal);
    }

    /// <summary>As <see cref="RawHttp"/> sends it: every byte as the character of its number.</summary>
    private static async Task<string> ReadAsync(string version, string name) => Encoding.Latin1.GetString(
        await File.ReadAllBytesAsync(Path.Combine(Repository.Root, "tests", "clients", "python", version, name + ".http"), TestContext.Current.CancellationToken));
}

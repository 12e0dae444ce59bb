using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Dapper;
using Dvara.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.Hosting;

/// <summary>How a node of its own ends: on Ctrl-C, told by its service manager while a stream is open, with a connection that does not close, and when its disk lies.</summary>
public sealed class StopTests : IAsyncDisposable
{
    private const string Streamed = """{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}]}""";
    private const string Mocked = """{"model":"mock/gpt-4o","messages":[{"role":"user","content":"Hi"}]}""";

    private readonly string _folder = Directory.CreateTempSubdirectory("dvara-stop-").FullName;

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return default;
    }

    [Fact]
    public async Task CtrlC_EndsTheNodeCleanly()
    {
        await using var node = await GatewayProcess.StartAsync(_folder, new Dictionary<string, string?>());

        Assert.Equal(0, await node.InterruptAsync(TestContext.Current.CancellationToken));

        Assert.DoesNotContain("fail:", node.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Unhandled exception", node.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sigterm_WhileAStreamIsOpen_LetsItFinish_AndTakesNothingNew()
    {
        var rest = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = await FakeUpstream.StartAsync();
        upstream.Answer = async (httpContext, _) =>
        {
            var stream = Encoding.UTF8.GetBytes(Recorded.ChatStream(usage: true));
            await Recorded.WriteAsync(httpContext, "text/event-stream; charset=utf-8", stream.AsMemory(0, stream.Length / 2));
            await httpContext.Response.Body.FlushAsync();
            await rest.Task;
            await httpContext.Response.Body.WriteAsync(stream.AsMemory(stream.Length / 2));
        };
        await using var node = await GatewayProcess.StartAsync(_folder, upstream.Settings);
        using var client = await ClientAsync(node);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = Json(Streamed) };
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);

        var stopping = node.TerminateAsync(TestContext.Current.CancellationToken);
        await node.WaitForAsync("Stopping: 1 requests may run on");
        using var probe = await client.GetAsync("/readyz");
        using var refused = await client.PostAsync("/v1/chat/completions", Json(Mocked));
        rest.SetResult();

        Assert.EndsWith("data: [DONE]\n\n", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, HttpStatusCode.ServiceUnavailable), (probe.StatusCode, refused.StatusCode));
        Assert.Equal(0, await stopping);
        Assert.DoesNotContain("fail:", node.Output, StringComparison.Ordinal);
        await using var ledger = new SqliteConnection($"Data Source={Path.Combine(_folder, "dvara.db")};Pooling=False");
        Assert.Equal(["SETTLED"], await ledger.QueryAsync<string>("SELECT state FROM charges"));
        Assert.Equal(["CLOSED"], await ledger.QueryAsync<string>("SELECT state FROM journals"));
    }

    [Fact]
    public async Task Sigterm_WhenTheBoundIsOver_EndsWhatRuns_AndSaysSo()
    {
        await using var upstream = await FakeUpstream.StartAsync();
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        upstream.Answer = async (httpContext, call) =>
        {
            if (call.Text.Contains("\"stream\":true", StringComparison.Ordinal))
            {
                var stream = Recorded.ChatStream(usage: true);
                await Recorded.WriteAsync(httpContext, "text/event-stream", Encoding.UTF8.GetBytes(stream[..(stream.IndexOf(" can", StringComparison.Ordinal) + 2)]));
                await httpContext.Response.Body.FlushAsync();
            }
            else
            {
                asked.SetResult();
            }

            await Task.Delay(Timeout.InfiniteTimeSpan, httpContext.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        };
        var settings = upstream.Settings;
        settings["Dvara:Hosting:StopSeconds"] = "1";
        await using var node = await GatewayProcess.StartAsync(_folder, settings);
        using var client = await ClientAsync(node);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = Json(Streamed) };
        using var stream = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        var waiting = client.PostAsync("/v1/chat/completions", Json(Streamed.Replace("true", "false", StringComparison.Ordinal)));
        await asked.Task.WaitAsync(TimeSpan.FromMinutes(1));

        var stopping = node.TerminateAsync(TestContext.Current.CancellationToken);

        var text = await stream.Content.ReadAsStringAsync();
        using var refused = await waiting;
        Assert.DoesNotContain("[DONE]", text, StringComparison.Ordinal);
        var told = JsonNode.Parse(text.TrimEnd('\n').Split("\n\n")[^1]["data: ".Length..])!["error"]!;
        Assert.Equal(("server_error", "shutting_down"), ((string?)told["type"], (string?)told["code"]));
        Assert.Equal(stream.Headers.GetValues("x-request-id").Single(), (string?)told["request_id"]);
        Assert.Contains("is stopping", (string?)told["message"], StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal("shutting_down", (string?)JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!["code"]);
        Assert.Equal(0, await stopping);
        Assert.DoesNotContain("fail:", node.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("could not be ended", node.Output, StringComparison.Ordinal);
        await using var ledger = new SqliteConnection($"Data Source={Path.Combine(_folder, "dvara.db")};Pooling=False");
        Assert.Equal(
            [("ESTIMATED", "gateway_stopped", 3), ("UNRESOLVED", "gateway_stopped", 0)],
            await ledger.QueryAsync<(string, string, int)>("SELECT state, outcome, coalesce(output, 0) FROM charges ORDER BY state"));
    }

    /// <summary>
    /// An HTTP/2 client that resets streams faster than they are cleared can leave Kestrel with a connection whose last stream never ends.
    /// </summary>
    [Fact]
    public async Task Stop_WithAConnectionThatNeverCloses_StillClosesTheJournal()
    {
        await using (var node = await GatewayEnvironment.StartAsync(
            dataDirectory: _folder,
            services: services => services.Configure<KestrelServerOptions>(kestrel => kestrel.ConfigureEndpointDefaults(listener =>
                listener.Use(next => async connection =>
                {
                    await next(connection);
                    await Task.Delay(Timeout.InfiniteTimeSpan);
                })))))
        {
            using var answer = await node.Client.GetAsync("/healthz", TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        await using var ledger = new SqliteConnection($"Data Source={Path.Combine(_folder, "dvara.db")};Pooling=False");
        Assert.Equal(["CLOSED"], await ledger.QueryAsync<string>("SELECT state FROM journals"));
    }

    [Fact]
    public async Task Disk_ThatFailsAFlush_EndsTheProcess_AndTheNextOneHasEveryAnsweredCharge()
    {
        var answered = 0;
        await using (var node = await GatewayProcess.StartAsync(_folder, FlushFault.Settings))
        {
            using var client = await ClientAsync(node);
            await Await.TrueAsync(
                async () =>
                {
                    try
                    {
                        using var answer = await client.PostAsync("/v1/chat/completions", Json(Mocked));
                        answered += answer.StatusCode == HttpStatusCode.OK ? 1 : 0;
                    }
                    catch (HttpRequestException)
                    {
                        return true;
                    }

                    if (answered == 3)
                    {
                        node.BreakFlushes();
                    }

                    return node.HasExited;
                },
                "the process to end");

            Assert.NotEqual(0, await node.WaitForExitAsync(TimeSpan.FromSeconds(30)));
            Assert.Contains("The journal can no longer be trusted; the process ends.", node.Output, StringComparison.Ordinal);
            Assert.Contains("disk I/O error", node.Output, StringComparison.Ordinal);
        }

        await using var next = await GatewayProcess.StartAsync(_folder, new Dictionary<string, string?>());
        var lines = JsonNode.Parse(await next.Admin.GetStringAsync("/v1/admin/costs?limit=1000"))!["items"]!.AsArray();
        Assert.Equal(answered, lines.Count(line => (string?)line!["state"] == "SETTLED"));
        Assert.InRange(answered, 3, 1000);
    }

    private static async Task<HttpClient> ClientAsync(GatewayProcess node)
    {
        var (_, key) = await DrillLoad.NewKeyAsync(node.Admin);
        return new() { BaseAddress = node.BaseAddress, DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", key) } };
    }

    private static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");
}

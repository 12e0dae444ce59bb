using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Dvara.Testing;

/// <summary>One call that reached the upstream, exactly as it came over the wire.</summary>
/// <param name="Number">Counts from 1 in the order of arrival.</param>
/// <param name="Path">Path and query.</param>
/// <param name="Headers">All of them; names compare case-insensitively.</param>
/// <param name="Body">The body's bytes.</param>
public sealed record UpstreamCall(int Number, string Path, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public string Text => System.Text.Encoding.UTF8.GetString(Body);
}

/// <summary>
/// A provider's front door on real Kestrel: keeps a log of its own of every call, and answers with recorded bytes of the real API.
/// The log is the oracle of all tests that ask whether something was lost or charged twice.
/// </summary>
public sealed class FakeUpstream : IAsyncDisposable
{
    private readonly WebApplication _app;
    private int _number;

    private FakeUpstream(WebApplication app) => _app = app;

    public delegate Task Answering(HttpContext httpContext, UpstreamCall call);

    /// <summary>With <c>/v1</c>, as <c>OPENAI_BASE_URL</c> wants it.</summary>
    public Uri BaseUrl { get; private set; } = null!;

    /// <summary>Every call, in the order of arrival.</summary>
    public ConcurrentQueue<UpstreamCall> Calls { get; } = new();

    /// <summary>What it answers; the recorded chat answer unless a test says otherwise.</summary>
    public Answering Answer { get; set; } = (httpContext, call) => Recorded.AnswerAsync(httpContext, call);

    public static async Task<FakeUpstream> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = null);
        var app = builder.Build();
        var upstream = new FakeUpstream(app);
        app.Run(upstream.HandleAsync);
        await app.StartAsync();
        upstream.BaseUrl = new Uri(app.Urls.First() + "/v1");
        return upstream;
    }

    /// <summary>Settings of a gateway whose provider <c>openai</c> is this upstream.</summary>
    public Dictionary<string, string?> Settings => new()
    {
        ["DVARA_OPENAI_BASE_URL"] = BaseUrl.ToString(),
        ["DVARA_OPENAI_API_KEY"] = Credential,
    };

    public const string Credential = "sk-upstream-credential-0001";

    public async ValueTask DisposeAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMilliseconds(100));
        await _app.StopAsync(patience.Token);
        await _app.DisposeAsync();
    }

    private async Task HandleAsync(HttpContext httpContext)
    {
        using var body = new MemoryStream();
        await httpContext.Request.Body.CopyToAsync(body, httpContext.RequestAborted);
        var headers = httpContext.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        var call = new UpstreamCall(
            Interlocked.Increment(ref _number), httpContext.Request.Path + httpContext.Request.QueryString.Value, headers, body.ToArray());
        Calls.Enqueue(call);
        await Answer(httpContext, call);
    }
}

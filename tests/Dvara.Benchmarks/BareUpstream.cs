using System.Text;
using Dvara.Testing;

namespace Dvara.Benchmarks;

/// <summary>The cheapest provider there can be: one recorded whole answer, or one recorded stream, and nothing else.</summary>
internal static class BareUpstream
{
    public static async Task<int> RunAsync()
    {
        var whole = Encoding.UTF8.GetBytes(Recorded.Chat());
        var stream = Encoding.UTF8.GetBytes(Recorded.ChatStream(usage: true));
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        app.Run(async httpContext =>
        {
            var body = await httpContext.Request.BodyReader.ReadAtLeastAsync((int)httpContext.Request.ContentLength!);
            var streams = Encoding.UTF8.GetString(body.Buffer).Contains("\"stream\":true", StringComparison.Ordinal);
            httpContext.Request.BodyReader.AdvanceTo(body.Buffer.End);
            var answer = streams ? stream : whole;
            httpContext.Response.ContentType = streams ? "text/event-stream" : "application/json";
            httpContext.Response.ContentLength = streams ? null : answer.Length;
            await httpContext.Response.Body.WriteAsync(answer);
        });
        await app.StartAsync();
        Console.WriteLine(app.Urls.First());
        await app.WaitForShutdownAsync();
        return 0;
    }
}

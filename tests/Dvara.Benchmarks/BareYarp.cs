using System.Net;
using Yarp.ReverseProxy.Forwarder;

namespace Dvara.Benchmarks;

/// <summary>The yardstick: YARP's direct forwarder with nothing around it.</summary>
internal static class BareYarp
{
    public static async Task<int> RunAsync(string target)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddHttpForwarder();
        var app = builder.Build();
        var invoker = new HttpMessageInvoker(new SocketsHttpHandler
        {
            UseProxy = false,
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            UseCookies = false,
        });
        app.MapForwarder("/{**path}", target, ForwarderRequestConfig.Empty, HttpTransformer.Default, invoker);
        await app.StartAsync();
        Console.WriteLine(app.Urls.First());
        await app.WaitForShutdownAsync();
        return 0;
    }
}

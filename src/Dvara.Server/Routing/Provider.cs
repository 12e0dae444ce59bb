using Dvara.Providers;
using Dvara.Providers.Mock;

namespace Dvara.Server.Routing;

/// <summary>An upstream account in use: its connections, and what was learnt about it since the start.</summary>
internal sealed class Provider : IDisposable
{
    private volatile bool _asksForUsage;

    private Provider(ProviderConfig config, HttpMessageHandler handler)
    {
        Config = config;
        Invoker = new HttpMessageInvoker(handler);
        _asksForUsage = config.AsksForUsage;
        Root = config.BaseUrl.AbsoluteUri.TrimEnd('/');
    }

    public ProviderConfig Config { get; }

    public string Id => Config.Id;

    public HttpMessageInvoker Invoker { get; }

    /// <summary>Base URL without a trailing slash.</summary>
    public string Root { get; }

    /// <summary>False once the host has rejected <c>stream_options</c>; until the next start.</summary>
    public bool AsksForUsage => _asksForUsage;

    public void StopAskingForUsage() => _asksForUsage = false;

    public static Provider Connect(ProviderConfig config, TimeProvider clock) =>
        new(config, config.Id == ProviderConfig.Mock.Id ? new MockProviderHandler(clock) : new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = TimeSpan.FromSeconds(5),
            // Finite, so that a changed DNS answer is seen.
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            EnableMultipleHttp2Connections = true,
            KeepAlivePingDelay = TimeSpan.FromSeconds(30),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(15),
            // A provider is a third party: our trace ids are none of its business.
            ActivityHeadersPropagator = null,
        });

    public Uri AddressOf(Endpoint endpoint, string query) => new(Root + "/" + endpoint.UpstreamPath() + query);

    public void Dispose() => Invoker.Dispose();
}

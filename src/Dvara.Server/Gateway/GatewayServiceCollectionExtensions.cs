using Dvara.Server.Hosting;
using Dvara.Server.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Dvara.Server.Gateway;

internal static class GatewayServiceCollectionExtensions
{
    public static IServiceCollection AddGateway(this IServiceCollection services)
    {
        services.AddHttpForwarder();
        services.AddSingleton(provider => provider.GetRequiredService<DvaraSettings>().Gateway);
        services.AddSingleton(provider => new ModelRouter(provider.GetRequiredService<DvaraSettings>().Providers, provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<BadKeyLimiter>();
        services.AddSingleton<DrainGate>();
        services.AddSingleton<LoopMark>();
        services.AddSingleton<Admission>();
        services.AddSingleton<UnroutedRequests>();
        services.AddSingleton<Bounds>();
        services.AddSingleton<BudgetView>();
        services.AddSingleton<HoldRefusals>();
        services.AddSingleton<Attempts>();
        services.AddSingleton<Dispatcher>();
        services.AddSingleton<Conductor>();
        services.AddHostedService<TokenizerWarmUp>();
        services.AddSingleton<KeyedRead>();
        services.AddSingleton<ModelList>();
        services.AddSingleton<RequestLookup>();
        services.AddOptions<KestrelServerOptions>().Configure<GatewayOptions>((kestrel, gateway) =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestLineSize = 8 << 10;
            kestrel.Limits.MaxRequestHeadersTotalSize = 32 << 10;
            kestrel.Limits.MaxRequestHeaderCount = 100;
            // The gateway answers 413 itself, in the contract's shape; this is the net below it.
            kestrel.Limits.MaxRequestBodySize = gateway.MaxBodyBytes + (1L << 20);
        });
        return services;
    }
}

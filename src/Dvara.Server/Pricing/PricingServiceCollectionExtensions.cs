using Dvara.Server.Pricing.Builtin;

namespace Dvara.Server.Pricing;

internal static class PricingServiceCollectionExtensions
{
    /// <summary>Call it before what rates at start, such as the recovery of journals: hosted services start in order.</summary>
    public static IServiceCollection AddPricing(this IServiceCollection services)
    {
        services.AddSingleton<PriceBookState>();
        services.AddSingleton<PriceStore>();
        services.AddSingleton<PriceChanges>();
        services.AddSingleton<BuiltinPrices>();
        services.AddHostedService<PriceBookFeed>();
        return services;
    }
}

namespace Dvara.Server.ApiKeys;

internal static class ApiKeysServiceCollectionExtensions
{
    public static IServiceCollection AddApiKeys(this IServiceCollection services)
    {
        services.AddSingleton<ApiKeyStore>();
        services.AddSingleton<ApiKeyNames>();
        services.AddSingleton<ApiKeyUses>();
        services.AddSingleton<ApiKeyCache>();
        services.AddHostedService(provider =>
        {
            // All hosted services are made before the first one starts: so the cache has subscribed before the change feed reads.
            _ = provider.GetRequiredService<ApiKeyCache>();
            return provider.GetRequiredService<ApiKeyUses>();
        });
        services.AddHealthChecks().AddCheck<ApiKeysCheck>("keys");
        return services;
    }
}

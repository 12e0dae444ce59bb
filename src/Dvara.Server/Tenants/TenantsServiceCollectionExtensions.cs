namespace Dvara.Server.Tenants;

internal static class TenantsServiceCollectionExtensions
{
    public static IServiceCollection AddTenants(this IServiceCollection services)
    {
        services.AddSingleton<TenantStore>();
        services.AddSingleton<TenantDirectory>();
        return services;
    }
}

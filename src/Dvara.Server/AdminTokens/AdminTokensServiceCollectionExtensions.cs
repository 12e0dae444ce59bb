using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.Authentication;

namespace Dvara.Server.AdminTokens;

internal static class AdminTokensServiceCollectionExtensions
{
    public static IServiceCollection AddAdminTokens(this IServiceCollection services)
    {
        // A single scheme would become the default and run, with its look-up, on every request of the data plane too.
        AppContext.SetSwitch("Microsoft.AspNetCore.Authentication.SuppressAutoDefaultScheme", true);
        services.AddAuthentication().AddScheme<AuthenticationSchemeOptions, AdminTokenHandler>(AdminAuthorization.Scheme, configureOptions: null);
        services.AddSingleton<AdminTokenStore>();
        services.AddSingleton<TokenUses>();
        services.AddHostedService(provider => provider.GetRequiredService<TokenUses>());
        services.AddHostedService<BootstrapToken>();
        return services;
    }
}

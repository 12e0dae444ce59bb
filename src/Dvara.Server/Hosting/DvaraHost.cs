using Dvara.Server.AdminTokens;
using Dvara.Server.Audit;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Storage;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Dvara.Server.Hosting;

/// <summary>Puts one node together: settings, storage, silo, slices, routes. Tests start the very same host.</summary>
internal static class DvaraHost
{
    /// <param name="args">Command-line settings.</param>
    /// <param name="adjust">Replaces registrations, for example the clock; the last word.</param>
    /// <exception cref="SettingsException">Settings are wrong; lists all of them.</exception>
    /// <exception cref="IOException">The data folder is in use by another process.</exception>
    public static WebApplication Build(string[] args, Action<WebApplicationBuilder>? adjust = null)
    {
        var builder = WebApplication.CreateSlimBuilder(args);
        builder.WebHost.UseKestrelHttpsConfiguration();
        adjust?.Invoke(builder);
        if (string.IsNullOrEmpty(builder.Configuration["URLS"]))
        {
            builder.WebHost.UseUrls("http://localhost:8080");
        }

        var settings = DvaraSettings.Read(builder.Configuration);
        AddHosting(builder, settings);
        AddSlices(builder.Services);

        var app = builder.Build();
        app.UseMiddleware<RequestIdMiddleware>();
        app.UseAuthentication();
        app.UseAuthorization();
        Map(app);
        return app;
    }

    private static void AddHosting(WebApplicationBuilder builder, DvaraSettings settings)
    {
        var directory = DataDirectory.Open(settings.DataDirectory);
        SqliteMigrator.Migrate(directory.LedgerFile);

        var services = builder.Services;
        services.AddSingleton(settings);
        // By factory, so that the container owns and disposes what holds a file.
        services.AddSingleton(_ => directory);
        services.AddSingleton<Database>(_ => new SqliteDatabase(directory.LedgerFile));
        services.AddSingleton(MasterKey.Load(settings.MasterKey, directory.MasterKeyFile));
        services.TryAddSingleton(settings.ClockStart is { } start ? new ShiftedClock(start - TimeProvider.System.GetUtcNow()) : TimeProvider.System);
        services.AddSingleton<ChangeFeed>();
        services.AddHostedService(provider => provider.GetRequiredService<ChangeFeed>());
        services.AddSingleton<CursorCodec>();
        services.AddSingleton<IAuthorizationHandler, ScopeHandler>();
        services.ConfigureHttpJsonOptions(options => AdminJson.Configure(options.SerializerOptions));
        services.AddAuthorization();
        services.AddAuthentication();
        builder.UseOrleans(silo => silo.UseLocalhostClustering(settings.SiloPort, gatewayPort: 0, clusterId: settings.ClusterId, serviceId: "dvara"));
    }

    private static void AddSlices(IServiceCollection services)
    {
        services.AddAdminTokens();
        services.AddAudit();
    }

    private static void Map(WebApplication app)
    {
        app.MapGet("/healthz", () => Results.Text("ok"));
        app.MapAdminTokens();
    }
}

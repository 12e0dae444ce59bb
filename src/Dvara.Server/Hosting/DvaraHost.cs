using Dvara.Server.AdminTokens;
using Dvara.Server.ApiKeys;
using Dvara.Server.Audit;
using Dvara.Server.Budgets;
using Dvara.Server.Chargeback;
using Dvara.Server.Costs;
using Dvara.Server.Gateway;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Hosting.Idempotency;
using Dvara.Server.Hosting.OpenApi;
using Dvara.Server.Metering;
using Dvara.Server.Pricing;
using Dvara.Server.Storage;
using Dvara.Server.Tenants;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Dvara.Server.Hosting;

/// <summary>Puts one node together: settings, storage, silo, slices, routes. Tests start the very same host.</summary>
internal static class DvaraHost
{
    /// <param name="args">Command-line settings.</param>
    /// <param name="adjust">Runs first: configuration, logging, and the clock, which is registered only where there is none yet.</param>
    /// <exception cref="SettingsException">Settings are wrong; lists all of them.</exception>
    /// <exception cref="IOException">The data folder is in use by another process.</exception>
    public static WebApplication Build(string[] args, Action<WebApplicationBuilder>? adjust = null)
    {
        var builder = WebApplication.CreateSlimBuilder(args);
        builder.WebHost.UseKestrelHttpsConfiguration();
        adjust?.Invoke(builder);
        var startUp = new StartUp();
        builder.AddOneLineLogging(startUp);
        var settings = DvaraSettings.Read(builder.Configuration);
        builder.AddListeners(settings.Listeners);
        builder.Services.AddSingleton(startUp);
        AddHosting(builder, settings);
        AddSlices(builder.Services);

        var app = builder.Build();
        app.Lifetime.ApplicationStarted.Register(startUp.Finish);
        app.UseMiddleware<RequestIdMiddleware>();
        app.UseMiddleware<TraceIdMiddleware>();
        app.UseListeners(settings.Listeners);
        app.UseErrorAnswers();
        app.UseDrain();
        app.UseMiddleware<RequestGuard>();
        app.UseRouting();
        app.Use(app.Services.GetRequiredService<UnroutedRequests>().InvokeAsync);
        // The data plane looks its keys up itself; what asks for a scope goes this way.
        app.UseWhen(httpContext => httpContext.GetEndpoint()?.Metadata.GetMetadata<IAuthorizeData>() is not null, admin =>
        {
            admin.UseMiddleware<AdminBodyLimit>();
            admin.UseAuthentication();
            admin.UseAuthorization();
            admin.UseMiddleware<IdempotencyMiddleware>();
        });
        Map(app, settings.Role);
        return app;
    }

    private static void AddHosting(WebApplicationBuilder builder, DvaraSettings settings)
    {
        var directory = DataDirectory.Open(settings.DataDirectory);
        var services = builder.Services;
        services.AddSingleton(settings);
        // By factory, so that the container owns and disposes what holds a file.
        services.AddSingleton(_ => directory);
        if (settings.ClockStart is { } start)
        {
            services.TryAddSingleton<TimeProvider>(new ShiftedClock(start - TimeProvider.System.GetUtcNow()));
        }

        var pools = settings.Postgres is { } postgres ? new PostgresPools(postgres) : null;
        services.AddStorage(pools, directory);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(new SiloName(settings.Postgres is null ? Environment.MachineName : $"{Environment.MachineName}:{settings.SiloPort}"));
        services.AddSingleton(MasterKey.Load(settings.MasterKey, directory.MasterKeyFile));
        services.AddHostedService<MasterKeyCheck>();
        services.AddSingleton<CursorCodec>();
        services.AddSingleton<IAuthorizationHandler, ScopeHandler>();
        services.ConfigureHttpJsonOptions(options => AdminJson.Configure(options.SerializerOptions));
        services.AddSingleton<IdempotencyStore>();
        services.AddHealth();
        services.AddTelemetry();
        services.AddInterfaceDescription();
        services.AddAuthorization();
        services.AddAuthentication();
        // The drain has its own bound; what is left after it (journal, ledger writer, silo) needs time of its own.
        services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(settings.LeaveSeconds + settings.StopSeconds + 30));
        builder.AddSilo(settings, pools?.Orleans);
    }

    private static void AddSlices(IServiceCollection services)
    {
        services.AddAdminTokens();
        services.AddAudit();
        services.AddTenants();
        services.AddApiKeys();
        services.AddPricing();
        services.AddMetering();
        services.AddBudgets();
        services.AddCosts();
        services.AddChargeback();
        services.AddGateway();
    }

    private static void Map(WebApplication app, NodeRole role)
    {
        app.MapHealth();
        app.MapTelemetry();
        app.MapUnmatchedAdminPaths();
        app.MapInterfaceDescription();
        app.MapAdminTokens();
        app.MapAudit();
        app.MapTenants();
        app.MapApiKeys();
        app.MapPricing();
        app.MapMetering();
        app.MapBudgets();
        app.MapJournalWriteOff();
        app.MapCosts();
        app.MapChargeback();
        if (role != NodeRole.Silo)
        {
            app.MapGateway();
        }
    }
}

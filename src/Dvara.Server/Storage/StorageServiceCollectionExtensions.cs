namespace Dvara.Server.Storage;

internal static class StorageServiceCollectionExtensions
{
    /// <param name="services">The node's.</param>
    /// <param name="postgres">Of the cluster's ledger; null: SQLite in the data folder.</param>
    /// <param name="directory">The node's data folder, for journal and files.</param>
    public static void AddStorage(this IServiceCollection services, PostgresPools? postgres, DataDirectory directory)
    {
        if (postgres is null)
        {
            SqliteMigrator.Migrate(directory.LedgerFile);
            services.AddSingleton<Database>(_ => new SqliteDatabase(directory.LedgerFile));
        }
        else
        {
            // By factory, so that the container owns and disposes it.
            services.AddSingleton(_ => postgres);
            services.AddSingleton<Database, PostgresDatabase>();
            services.AddHostedService<PostgresSchema>();
        }

        services.AddSingleton<ChangeFeed>();
        services.AddHostedService(provider => provider.GetRequiredService<ChangeFeed>());
        if (postgres is not null)
        {
            services.AddHostedService<PostgresListener>();
            services.AddSingleton<PostgresDurability>();
            services.AddHostedService(provider => provider.GetRequiredService<PostgresDurability>());
            services.AddHealthChecks().AddCheck<PostgresDurability>("durability");
            AddClock(services);
        }
    }

    /// <summary>The silos of a cluster go by the database's clock, unless the clock was set already (a rehearsal).</summary>
    private static void AddClock(IServiceCollection services)
    {
        if (services.Any(service => service.ServiceType == typeof(TimeProvider)))
        {
            return;
        }

        var clock = new DatabaseClock();
        services.AddSingleton<TimeProvider>(clock);
        services.AddSingleton(clock);
        services.AddSingleton<DatabaseClockAnchor>();
        services.AddHostedService(provider => provider.GetRequiredService<DatabaseClockAnchor>());
        services.AddHealthChecks().AddCheck<DatabaseClockAnchor>("clock");
    }
}

using System.Runtime.ExceptionServices;
using Dvara.Server.Budgets;
using Dvara.Server.Costs;
using Dvara.Server.Metering;
using Dvara.Server.Storage;
using Microsoft.AspNetCore.Connections;
using Npgsql;

namespace Dvara.Server.Hosting;

/// <summary>The commands of the binary. What an operator can put right is one message on the error stream and exit code 1, without a stack trace.</summary>
internal static class Commands
{
    private static readonly string[] Help = ["--help", "-h", "-?"];

    public static async Task<int> RunAsync(string[] args)
    {
        var (command, settings) = args is [{ Length: > 0 } first, .. var rest] && char.IsAsciiLetter(first[0]) && !first.Contains('=', StringComparison.Ordinal)
            ? (first, rest)
            : ("serve", args);
        if (settings.Intersect(Help).Any())
        {
            Console.WriteLine(
                "dotnet Dvara.Server.dll [serve]                                 the gateway\n"
                + "dotnet Dvara.Server.dll migrate                                 the schema of DVARA_POSTGRES\n"
                + "dotnet Dvara.Server.dll journal ship [--adopt] <data folder>    what a silo that is gone has left, into DVARA_POSTGRES\n"
                + "Settings come from the environment, from appsettings.json or as --Name=value; README.md and deploy/README.md list them.");
            return 0;
        }

        try
        {
            switch (command)
            {
                case "serve":
                    await ServeAsync(settings);
                    return 0;
                case "migrate":
                    await MigrateAsync(settings);
                    return 0;
                case "journal" when settings is ["ship", "--adopt", { } folder, .. var shipSettings]:
                    await ShipAsync(folder, shipSettings, adopt: true);
                    return 0;
                case "journal" when settings is ["ship", { } folder, .. var shipSettings]:
                    await ShipAsync(folder, shipSettings, adopt: false);
                    return 0;
                default:
                    await Console.Error.WriteLineAsync(
                        $"{command} is not a command. The commands are serve (default), migrate and journal ship [--adopt] <data folder>.");
                    return 2;
            }
        }
        catch (Exception exception) when (Explain(exception) is not null)
        {
            await Console.Error.WriteLineAsync(Explain(exception));
            return 1;
        }
    }

    private static async Task ServeAsync(string[] args)
    {
        await using var app = DvaraHost.Build(args);
        try
        {
            await app.StartAsync();
        }
        catch (Exception exception) when (
            exception is OperationCanceledException or OrleansException && app.Lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // Told to stop before it was ready, perhaps while it waited for a silo.
            await StopStartedAsync(app);
            return;
        }
        catch (Exception failure)
        {
            await StopStartedAsync(app);
            ExceptionDispatchInfo.Throw(failure);
        }

        app.Services.GetRequiredService<StartUp>().Print(app, Console.Out);
        await app.WaitForShutdownAsync();
    }

    /// <summary>What had started already stops in order, the silo included. Where nothing had, the host cannot stop: why it did not start is what counts.</summary>
    private static async Task StopStartedAsync(WebApplication app)
    {
        try
        {
            await app.StopAsync();
        }
        catch (Exception exception) when (exception is ArgumentNullException or InvalidOperationException or OperationCanceledException)
        {
            // The start's own failure follows.
        }
    }

    /// <summary>Brings the ledger's schema up to date and ends; <c>serve</c> does the same before it listens.</summary>
    private static async Task MigrateAsync(string[] args)
    {
        var settings = DvaraSettings.Read(WebApplication.CreateSlimBuilder(args).Configuration, serves: false);
        if (settings.Postgres is { } postgres)
        {
            await using var pools = new PostgresPools(postgres);
            await PostgresMigrator.MigrateAsync(pools, CancellationToken.None);
            await Console.Out.WriteLineAsync("The PostgreSQL ledger has the newest schema.");
            return;
        }

        using var directory = DataDirectory.Open(settings.DataDirectory);
        SqliteMigrator.Migrate(directory.LedgerFile);
        await Console.Out.WriteLineAsync($"{directory.LedgerFile} has the newest schema.");
    }

    private static async Task ShipAsync(string folder, string[] args, bool adopt)
    {
        var settings = DvaraSettings.Read(WebApplication.CreateSlimBuilder(args).Configuration, serves: false);
        if (settings.Postgres is not { } postgres)
        {
            throw new SettingsException(["DVARA_POSTGRES is not set. With SQLite a journal is shipped by starting on its folder."]);
        }

        using var logging = LoggerFactory.Create(logger => logger.AddSimpleConsole().SetMinimumLevel(LogLevel.Warning));
        await using var pools = new PostgresPools(postgres);
        ILedgerParticipant[] participants = [new BudgetLedger(new CapBookState(), TimeProvider.System), new ResolutionEvents()];
        await Console.Out.WriteLineAsync(await JournalShipment.RunAsync(pools, folder, adopt, settings.Journal, participants, logging, CancellationToken.None));
    }

    /// <returns>The message for an operator, or null for a fault of ours, which keeps its stack trace.</returns>
    private static string? Explain(Exception exception) => exception switch
    {
        SettingsException or MigrationException or JournalDamagedException or UnauthorizedAccessException => exception.Message,
        IOException { InnerException: AddressInUseException } =>
            $"{exception.Message} Stop what listens there, or set ASPNETCORE_URLS to another address such as http://localhost:8081.",
        IOException => exception.Message,
        NpgsqlException => $"PostgreSQL (DVARA_POSTGRES): {exception.Message}",
        FormatException { Source: "Microsoft.AspNetCore.Http" } or InvalidOperationException { Source: "Microsoft.AspNetCore.Server.Kestrel.Core" } =>
            $"The node cannot listen: {exception.Message}",
        _ => null,
    };
}

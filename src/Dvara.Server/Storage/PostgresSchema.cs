using Dapper;

namespace Dvara.Server.Storage;

/// <summary>Sees to the schema before anything else uses the database, and to the ledger's partitions once a day.</summary>
internal sealed partial class PostgresSchema(PostgresPools pools, Database database, ILogger<PostgresSchema> logger) : BackgroundService
{
    /// <summary>Partitions are made so far ahead. A ledger that nobody tends for two years goes on in the default partition.</summary>
    private const int MonthsAhead = 24;

    private const string MakePartitions = "SELECT make_charge_partitions(now(), @months)";

    private const string IsAnythingBeyond = "SELECT EXISTS (SELECT FROM charges_beyond)";

    private static readonly TimeSpan Interval = TimeSpan.FromDays(1);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await PostgresMigrator.PrepareAsync(pools, cancellationToken);
        await TendAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await TendAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops.
        }
    }

    private async Task TendAsync(CancellationToken cancellationToken)
    {
        try
        {
            // An admin write, so that two silos do not make the same one.
            await database.WriteAsync(
                WriteLane.Admin,
                transaction => transaction.Connection!.QuerySingleAsync<int>(MakePartitions, new { months = MonthsAhead }, transaction),
                cancellationToken);
            if (await database.ReadAsync(c => c.QuerySingleAsync<bool>(IsAnythingBeyond), cancellationToken))
            {
                LogBeyond(logger);
            }
        }
        catch (Npgsql.NpgsqlException exception)
        {
            LogNotTended(logger, exception);
        }
    }

    [LoggerMessage(1, LogLevel.Error, "The default partition charges_beyond is not empty: charges have times outside all months. Nothing is lost; queries over them are slow until a partition is made for them.")]
    private static partial void LogBeyond(ILogger logger);

    [LoggerMessage(2, LogLevel.Warning, "The ledger's partitions could not be looked after; it is tried again tomorrow, and they reach two years ahead.")]
    private static partial void LogNotTended(ILogger logger, Exception exception);
}

using Dapper;
using Dvara.Server.Hosting;

namespace Dvara.Server.Storage;

/// <summary>Sees to the schema before anything else uses the database, and to the ledger's partitions once a day.</summary>
internal sealed partial class PostgresSchema(PostgresPools pools, Database database, ILogger<PostgresSchema> logger)
    : PeriodicService(TimeSpan.FromDays(1), "The ledger's partitions could not be looked after; it is tried again tomorrow, and they reach two years ahead.", logger)
{
    /// <summary>Partitions are made so far ahead. A ledger that nobody tends for two years goes on in the default partition.</summary>
    private const int MonthsAhead = 24;

    private const string MakePartitions = "SELECT make_charge_partitions(now(), @months)";

    private const string IsAnythingBeyond = "SELECT EXISTS (SELECT FROM charges_beyond)";

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await PostgresMigrator.PrepareAsync(pools, cancellationToken);
        // Not worth a start: what has no partition goes into the default one.
        await TickOrLogAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    protected override async Task TickAsync(CancellationToken stoppingToken)
    {
        // An admin write, so that two silos do not make the same one.
        await database.WriteAsync(
            WriteLane.Admin,
            transaction => transaction.Connection!.QuerySingleAsync<int>(MakePartitions, new { months = MonthsAhead }, transaction),
            stoppingToken);
        if (await database.ReadAsync(c => c.QuerySingleAsync<bool>(IsAnythingBeyond), stoppingToken))
        {
            LogBeyond(logger);
        }
    }

    [LoggerMessage(1, LogLevel.Error, "The default partition charges_beyond is not empty: charges have times outside all months. Nothing is lost; queries over them are slow until a partition is made for them.")]
    private static partial void LogBeyond(ILogger logger);
}

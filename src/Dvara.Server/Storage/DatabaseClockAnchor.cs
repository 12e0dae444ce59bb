using Dapper;
using Dvara.Server.Hosting;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Dvara.Server.Storage;

/// <summary>Anchors the <see cref="DatabaseClock"/> every 10 s. A silo whose machine is more than 2 s off takes no traffic: something is wrong with its clock, and others read it too.</summary>
internal sealed class DatabaseClockAnchor(Database database, DatabaseClock clock, ILogger<DatabaseClockAnchor> logger)
    : PeriodicService(TimeSpan.FromSeconds(10), "The database's clock could not be read; time goes on from the last anchor.", logger), IHealthCheck
{
    private const string ReadClock = "SELECT clock_timestamp()";

    private static readonly TimeSpan SkewMax = TimeSpan.FromSeconds(2);

    /// <summary>An answer that took longer says too little about the moment.</summary>
    private static readonly TimeSpan WayMax = TimeSpan.FromSeconds(1);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await AnchorAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(clock.Skew.Duration() <= SkewMax
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Unhealthy($"this machine's clock is {clock.Skew.TotalSeconds:F1} s off the database's"));

    /// <summary>Asks the database for the time.</summary>
    public async Task AnchorAsync(CancellationToken cancellationToken)
    {
        var (now, askedAt, answeredAt) = await database.ReadAsync(
            async connection =>
            {
                var asked = TimeProvider.System.GetTimestamp();
                var answer = await connection.QuerySingleAsync<DateTime>(ReadClock);
                return (new DateTimeOffset(answer), asked, TimeProvider.System.GetTimestamp());
            },
            cancellationToken);
        if (TimeProvider.System.GetElapsedTime(askedAt, answeredAt) < WayMax)
        {
            clock.SetAnchor(now, askedAt, answeredAt);
        }
    }

    protected override Task TickAsync(CancellationToken stoppingToken) => AnchorAsync(stoppingToken);
}

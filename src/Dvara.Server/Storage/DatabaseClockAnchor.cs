using Dapper;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Dvara.Server.Storage;

/// <summary>Anchors the <see cref="DatabaseClock"/> every 10 s. A silo whose machine is more than 2 s off takes no traffic: something is wrong with its clock, and others read it too.</summary>
internal sealed partial class DatabaseClockAnchor(Database database, DatabaseClock clock, ILogger<DatabaseClockAnchor> logger) : BackgroundService, IHealthCheck
{
    private const string ReadClock = "SELECT clock_timestamp()";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

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

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await AnchorAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops.
        }
    }

    /// <summary>Asks the database for the time; where it does not answer, time goes on from the last anchor.</summary>
    public async Task AnchorAsync(CancellationToken cancellationToken)
    {
        try
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
        catch (Exception exception) when (exception is System.Data.Common.DbException or TimeoutException)
        {
            LogNotAnchored(logger, exception.Message);
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "The database's clock could not be read ({Reason}); time goes on from the last anchor.")]
    private static partial void LogNotAnchored(ILogger logger, string reason);
}

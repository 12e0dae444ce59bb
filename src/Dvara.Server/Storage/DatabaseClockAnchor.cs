using Dapper;
using Dvara.Server.Hosting;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Dvara.Server.Storage;

/// <summary>Anchors the <see cref="DatabaseClock"/> every 10 s. A silo whose machine is more than 2 s off is not ready: something is wrong with its clock, and others read it too.</summary>
internal sealed partial class DatabaseClockAnchor(Database database, DatabaseClock clock, ILogger<DatabaseClockAnchor> logger)
    : PeriodicService(TimeSpan.FromSeconds(10), "The database's clock could not be read; time goes on from the last anchor.", logger), IHealthCheck
{
    private const string ReadClock = "SELECT clock_timestamp()";

    private static readonly TimeSpan SkewMax = TimeSpan.FromSeconds(2);

    /// <summary>An answer that took longer says too little about the moment.</summary>
    private static readonly TimeSpan WayMax = TimeSpan.FromSeconds(1);

    private bool _wasOff;

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await AnchorAsync(cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(IsOff
            ? HealthCheckResult.Unhealthy($"this machine's clock is {clock.Skew.TotalSeconds:F1} s off the database's")
            : HealthCheckResult.Healthy());

    /// <summary>Asks the database for the time.</summary>
    public async Task AnchorAsync(CancellationToken cancellationToken)
    {
        var (now, askedAt, answeredAt) = await database.LookUpAsync(
            async connection =>
            {
                var asked = TimeProvider.System.GetTimestamp();
                var answer = await connection.QuerySingleAsync<DateTime>(ReadClock);
                return (new DateTimeOffset(answer), asked, TimeProvider.System.GetTimestamp());
            },
            cancellationToken);
        if (TimeProvider.System.GetElapsedTime(askedAt, answeredAt) < WayMax)
        {
            SetAnchor(now, askedAt, answeredAt);
        }
    }

    /// <summary>As <see cref="DatabaseClock.SetAnchor"/>; the log tells once when the machine's clock goes off, and once when it is back.</summary>
    public void SetAnchor(DateTimeOffset now, long askedAt, long answeredAt)
    {
        clock.SetAnchor(now, askedAt, answeredAt);
        if (IsOff == _wasOff)
        {
            return;
        }

        _wasOff = IsOff;
        if (_wasOff)
        {
            LogOff(logger, clock.Skew.TotalSeconds);
        }
        else
        {
            LogRight(logger, clock.Skew.TotalSeconds);
        }
    }

    private bool IsOff => clock.Skew.Duration() > SkewMax;

    protected override Task TickAsync(CancellationToken stoppingToken) => AnchorAsync(stoppingToken);

    [LoggerMessage(1, LogLevel.Warning, "This machine's clock is {Seconds:F1} s off the database's; the silo is not ready (/readyz) until it is right.")]
    private static partial void LogOff(ILogger logger, double seconds);

    [LoggerMessage(2, LogLevel.Information, "This machine's clock is right again, {Seconds:F1} s off the database's.")]
    private static partial void LogRight(ILogger logger, double seconds);
}

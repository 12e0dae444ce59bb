using System.Data.Common;
using Dapper;
using Dvara.Server.Hosting;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Dvara.Server.Storage;

/// <summary>
/// Whether the server keeps what it acknowledges. A start on one that does not is refused; one that is reconfigured while silos run makes
/// them not ready, and the log says so.
/// </summary>
internal sealed partial class PostgresDurability(PostgresPools pools, ILogger<PostgresDurability> logger)
    : PeriodicService(TimeSpan.FromSeconds(10), "Whether PostgreSQL keeps what it acknowledges could not be asked.", logger), IHealthCheck
{
    private const string ReadSettings = "SELECT current_setting('fsync'), current_setting('synchronous_commit')";

    private volatile string? _problem;

    /// <returns>Null: it does.</returns>
    public static async Task<string?> ProblemAsync(DbConnection connection) =>
        await connection.QuerySingleAsync<(string Fsync, string Commit)>(ReadSettings) switch
        {
            { Fsync: "off" } => "fsync is off: it would lose charges that it has acknowledged",
            { Commit: "off" } => "synchronous_commit is off: it would lose charges that it has acknowledged",
            _ => null,
        };

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(_problem is { } problem ? HealthCheckResult.Unhealthy($"PostgreSQL: {problem}") : HealthCheckResult.Healthy());

    protected override Task TickAsync(CancellationToken stoppingToken) => AskAsync(stoppingToken);

    /// <summary>Asks the server.</summary>
    public async Task AskAsync(CancellationToken cancellationToken)
    {
        // A setting of the role or of the database is every new connection's, and no older one's; any of the ledger's may have either.
        await using var fresh = await pools.ConnectAsync(cancellationToken);
        await using var old = await pools.Ledger.OpenConnectionAsync(cancellationToken);
        var problem = await ProblemAsync(fresh) ?? await ProblemAsync(old);
        if (problem is not null && _problem is null)
        {
            LogForgetful(logger, problem);
        }

        _problem = problem;
    }

    [LoggerMessage(1, LogLevel.Critical, "PostgreSQL cannot keep the ledger any more: {Problem}. This silo is not ready (/readyz) until that is put right.")]
    private static partial void LogForgetful(ILogger logger, string problem);
}

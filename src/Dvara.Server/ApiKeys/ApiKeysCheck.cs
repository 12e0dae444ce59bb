using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Dvara.Server.ApiKeys;

/// <summary>Takes a silo out of the load balancer that has been cut off from the database for so long that it must refuse every key.</summary>
internal sealed class ApiKeysCheck(ApiKeyCache keys) : IHealthCheck
{
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) => Task.FromResult(
        keys.IsFeedCurrent()
            ? HealthCheckResult.Healthy()
            : HealthCheckResult.Unhealthy("the database has been away for more than 10 minutes, so no key can be answered for"));
}

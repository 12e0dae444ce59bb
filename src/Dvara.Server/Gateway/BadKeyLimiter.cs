using System.Net;
using System.Threading.RateLimiting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Gateway;

/// <summary>Slows down whoever tries keys: per address, and only for requests that failed, so that good keys never notice.</summary>
internal sealed class BadKeyLimiter(GatewayOptions options) : IDisposable
{
    private readonly PartitionedRateLimiter<HttpContext> _limiter = PartitionedRateLimiter.Create<HttpContext, IPAddress>(httpContext =>
        RateLimitPartition.GetTokenBucketLimiter(
            httpContext.Connection.RemoteIpAddress ?? IPAddress.None,
            _ => new TokenBucketRateLimiterOptions
            {
                TokenLimit = options.BadKeysPerSecond,
                TokensPerPeriod = options.BadKeysPerSecond,
                ReplenishmentPeriod = TimeSpan.FromSeconds(1),
            }));

    /// <summary>The refusal itself, or 429 once an address has had too many of them.</summary>
    public ApiError Answer(HttpContext httpContext, ApiError refusal)
    {
        using var lease = _limiter.AttemptAcquire(httpContext);
        if (lease.IsAcquired)
        {
            return refusal;
        }

        httpContext.Response.Headers.RetryAfter = "1";
        return GatewayErrors.TooManyBadKeys;
    }

    public void Dispose() => _limiter.Dispose();
}

using System.Net;
using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.Authorization;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;

namespace Dvara.Server.Hosting;

/// <summary><c>/metrics</c> for Prometheus: meters named <c>Dvara.*</c> and those of the runtime and the web server.</summary>
internal static class Telemetry
{
    private const string MetricsScope = "metrics:read";

    public static void AddTelemetry(this IServiceCollection services)
    {
        services.AddSingleton<IAuthorizationHandler, MetricsFromInside>();
        services.AddOpenTelemetry().ConfigureResource(resource => resource.AddService("dvara")).WithMetrics(metrics => metrics
            .AddMeter("Dvara.*", "System.Runtime", "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel")
            .AddPrometheusExporter());
    }

    public static void MapTelemetry(this IEndpointRouteBuilder app) =>
        app.MapPrometheusScrapingEndpoint("/metrics").RequireScope(MetricsScope);

    /// <summary>
    /// Metrics need no token from this machine or on the admin listener. A proxy on this machine makes everybody look like this machine:
    /// a request that was forwarded by one that is not trusted does not count.
    /// </summary>
    private sealed class MetricsFromInside(DvaraSettings settings) : AuthorizationHandler<ScopeRequirement>
    {
        protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, ScopeRequirement requirement)
        {
            var httpContext = context.Resource as HttpContext;
            if (requirement.Scope == MetricsScope && httpContext?.Request.Path == "/metrics"
                && (settings.Listeners.AdminPorts.Contains(httpContext.Connection.LocalPort) || IsLocal(httpContext)))
            {
                context.Succeed(requirement);
            }

            return Task.CompletedTask;
        }

        private static bool IsLocal(HttpContext httpContext) =>
            httpContext.Connection.RemoteIpAddress is { } address && IPAddress.IsLoopback(address)
            && !httpContext.Request.Headers.ContainsKey("X-Forwarded-For") && !httpContext.Request.Headers.ContainsKey("Forwarded");
    }
}

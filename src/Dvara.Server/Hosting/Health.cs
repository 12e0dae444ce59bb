using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Dvara.Server.Hosting;

/// <summary>
/// <c>/healthz</c>: the process answers. <c>/readyz</c>: it may take traffic, that is, every registered health check agrees; a slice adds its
/// own with <c>services.AddHealthChecks().AddCheck&lt;T&gt;(name)</c>.
/// </summary>
internal static class Health
{
    private static readonly PathString[] Paths = ["/healthz", "/readyz", "/metrics"];

    public static void AddHealth(this IServiceCollection services)
    {
        services.AddSingleton<Drain>();
        services.AddHostedService(provider => provider.GetRequiredService<Drain>());
        services.AddHealthChecks().AddCheck<Drain>("drain");
    }

    /// <summary>Counts what runs. Probes are left out: they must be answered while the node stops.</summary>
    public static void UseDrain(this WebApplication app)
    {
        var drain = app.Services.GetRequiredService<Drain>();
        app.Use(next => httpContext => Paths.Contains(httpContext.Request.Path) ? next(httpContext) : drain.RunAsync(httpContext, next));
    }

    public static void MapHealth(this IEndpointRouteBuilder app)
    {
        app.MapGet("/healthz", () => Results.Text("ok")).WithTags("Operations").WithSummary("The process is alive");
        app.MapHealthChecks("/readyz", new HealthCheckOptions { ResponseWriter = WriteAsync });
    }

    private static Task WriteAsync(HttpContext httpContext, HealthReport report)
    {
        httpContext.Response.ContentType = "text/plain";
        return httpContext.Response.WriteAsync(
            report.Status == HealthStatus.Healthy
                ? "ready"
                : "not ready: " + string.Join(", ", report.Entries.Where(e => e.Value.Status != HealthStatus.Healthy)
                    .Select(e => e.Value.Description ?? e.Key)),
            httpContext.RequestAborted);
    }
}

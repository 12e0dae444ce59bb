using System.Collections.Concurrent;
using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Dvara.Server.Hosting;

/// <summary>
/// Stops the node without cutting anybody off. From the signal on <c>/readyz</c> fails. Load balancers take a while to see that, so for
/// <c>Dvara:Hosting:LeaveSeconds</c> requests are still taken; after that new ones are 503, and those that run go on until they end or
/// <c>Dvara:Hosting:StopSeconds</c> are over. Then the rest is told to end (the gateway says so to its clients and charges what was delivered),
/// what does not is aborted, and everything else stops.
/// Kestrel alone would close its listener at once, so that nobody could see that the node is not ready; and it would wait for a connection
/// that does not close as long as the host lets it, so that nothing were left for the ledger writer.
/// </summary>
internal sealed partial class Drain(DvaraSettings settings, StartUp startUp, IServer server, ILogger<Drain> logger)
    : IHostedLifecycleService, IHealthCheck, IDisposable
{
    public static readonly ApiError ShuttingDown =
        new(StatusCodes.Status503ServiceUnavailable, "server_error", "shutting_down", "This node is stopping. Send the request again.");

    // Requests that are told to end, those that are aborted, and connections without a request have this long each: they settle what is
    // known and close; nothing in that waits for anyone but a client that does not read its last word.
    private static readonly TimeSpan EndGrace = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<HttpContext, byte> _running = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _overdue = new();
    private volatile bool _leaving;
    private volatile bool _draining;

    /// <summary>Cancelled when the bound is over: what still runs ends itself and says why.</summary>
    public CancellationToken Overdue => _overdue.Token;

    public async Task RunAsync(HttpContext httpContext, RequestDelegate next)
    {
        _running.TryAdd(httpContext, 0);
        try
        {
            // Entered before asked: a request is either refused or waited for, never overlooked.
            if (_draining)
            {
                httpContext.Response.Headers.RetryAfter = "1";
                httpContext.Response.Headers.Connection = "close";
                await ShuttingDown.ExecuteAsync(httpContext);
            }
            else
            {
                await next(httpContext);
            }
        }
        finally
        {
            _running.TryRemove(httpContext, out _);
            if (_draining && _running.IsEmpty)
            {
                _idle.TrySetResult();
            }
        }
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        _leaving = true;
        if (startUp.IsDone)
        {
            await Task.WhenAny(Task.Delay(TimeSpan.FromSeconds(settings.LeaveSeconds), TimeProvider.System, cancellationToken));
        }

        _draining = true;
        await EndRequestsAsync();
        using var closing = new CancellationTokenSource(EndGrace);
        await server.StopAsync(closing.Token);
    }

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(_leaving ? HealthCheckResult.Unhealthy("stopping") : HealthCheckResult.Healthy());

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _overdue.Dispose();

    private async Task EndRequestsAsync()
    {
        if (_running.IsEmpty)
        {
            return;
        }

        LogDraining(logger, _running.Count, settings.StopSeconds);
        if (await EndsWithinAsync(TimeSpan.FromSeconds(settings.StopSeconds)))
        {
            return;
        }

        LogOverdue(logger, _running.Count);
        await _overdue.CancelAsync();
        if (await EndsWithinAsync(EndGrace))
        {
            return;
        }

        LogAborting(logger, _running.Count);
        foreach (var httpContext in _running.Keys)
        {
            httpContext.Abort();
        }

        await EndsWithinAsync(EndGrace);
    }

    private async Task<bool> EndsWithinAsync(TimeSpan bound)
    {
        try
        {
            await _idle.Task.WaitAsync(bound);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    [LoggerMessage(1, LogLevel.Information, "Stopping: {Running} requests may run on for {Seconds} s.")]
    private static partial void LogDraining(ILogger logger, int running, int seconds);

    [LoggerMessage(2, LogLevel.Warning, "Stopping: {Running} requests did not end in time and are ended.")]
    private static partial void LogOverdue(ILogger logger, int running);

    [LoggerMessage(3, LogLevel.Warning, "Stopping: {Running} requests could not be ended and are aborted.")]
    private static partial void LogAborting(ILogger logger, int running);
}

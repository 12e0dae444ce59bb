namespace Dvara.Server.Hosting;

/// <summary>Work that is done again and again in the background. A failure is logged, once until a tick succeeds, and the next tick tries again.</summary>
/// <param name="interval">From tick to tick, in real time; a tick that takes longer delays the next one.</param>
/// <param name="failure">What the log says when a tick fails, a whole sentence.</param>
/// <param name="logger">The service's own.</param>
internal abstract partial class PeriodicService(TimeSpan interval, string failure, ILogger logger) : BackgroundService
{
    private bool _failing;

    protected abstract Task TickAsync(CancellationToken stoppingToken);

    /// <summary>What a stop must still see to, after the last tick. A failure is logged and holds nothing else up.</summary>
    protected virtual Task FinishAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public sealed override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            await FinishAsync(cancellationToken);
        }
        catch (Exception exception)
        {
            LogFailed(logger, exception, failure);
        }
    }

    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(interval);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await TickOrLogAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops; what must not be lost is seen to in FinishAsync.
        }
    }

    /// <summary>One tick: the timer's, or one more beside them.</summary>
    protected async Task TickOrLogAsync(CancellationToken stoppingToken)
    {
        try
        {
            await TickAsync(stoppingToken);
            _failing = false;
        }
        catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
        {
            if (!_failing)
            {
                LogFailed(logger, exception, failure);
            }

            _failing = true;
        }
    }

    [LoggerMessage(1000, LogLevel.Warning, "{Failure}")]
    private static partial void LogFailed(ILogger logger, Exception exception, string failure);
}

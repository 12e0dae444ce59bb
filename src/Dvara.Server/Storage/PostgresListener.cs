using Npgsql;

namespace Dvara.Server.Storage;

/// <summary>Hears of changes at once (<c>LISTEN</c>). Only faster than the poll of <see cref="ChangeFeed"/>, never needed: when it is cut, the poll goes on.</summary>
internal sealed partial class PostgresListener(PostgresPools pools, ChangeFeed feed, ILogger<PostgresListener> logger) : BackgroundService
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(2);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await ListenAsync(stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is NpgsqlException or IOException or TimeoutException)
            {
                LogCut(logger, exception.Message);
                await Task.WhenAny(Task.Delay(RetryInterval, stoppingToken));
            }
        }
    }

    private async Task ListenAsync(CancellationToken stoppingToken)
    {
        await using var connection = await pools.ConnectAsync(stoppingToken);
        await using (var listen = new NpgsqlCommand("LISTEN dvara_changes", connection))
        {
            await listen.ExecuteNonQueryAsync(stoppingToken);
        }

        // What happened before the ear was there.
        await feed.CatchUpAsync(stoppingToken);
        while (true)
        {
            await connection.WaitAsync(stoppingToken);
            await feed.CatchUpAsync(stoppingToken);
        }
    }

    [LoggerMessage(1, LogLevel.Warning, "The line on which changes are heard was cut ({Reason}); they are polled for until it is back.")]
    private static partial void LogCut(ILogger logger, string reason);
}

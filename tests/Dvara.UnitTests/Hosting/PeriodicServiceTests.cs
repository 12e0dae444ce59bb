using Dvara.Server.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Dvara.UnitTests.Hosting;

public sealed class PeriodicServiceTests
{
    [Fact]
    public async Task Stop_WhoseLastWriteFails_HoldsNothingElseUp()
    {
        using var service = new Doomed();
        await service.StartAsync(CancellationToken.None);

        await service.StopAsync(CancellationToken.None);

        Assert.True(service.Finished);
    }

    private sealed class Doomed() : PeriodicService(TimeSpan.FromHours(1), "It failed.", NullLogger.Instance)
    {
        public bool Finished { get; private set; }

        protected override Task TickAsync(CancellationToken stoppingToken) => Task.CompletedTask;

        protected override Task FinishAsync(CancellationToken cancellationToken)
        {
            Finished = true;
            return Task.FromException(new TimeoutException("The database is away."));
        }
    }
}

#pragma warning disable
namespace Dvara.Server.Metering;

internal sealed class LedgerWriter
{
    public Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}

using Dvara.Domain.Metering;
using Dvara.Server.Hosting;

namespace Dvara.Server.Metering;

/// <summary>What the end of an answer waits for (<c>Dvara:Metering:Acknowledge</c>).</summary>
internal enum Acknowledgement
{
    /// <summary>The journal's commit; the ledger follows within 1 s.</summary>
    Journal,

    /// <summary>The ledger's commit: for deployments whose journal does not survive its machine.</summary>
    Ledger,
}

/// <summary>(7) Settles an attempt. When it ends, the end of the answer may leave for the client.</summary>
internal sealed class Settlement(Journal journal, LedgerWriter writer, DvaraSettings settings)
{
    /// <summary>Longer than this the ledger keeps nobody waiting; while it is further behind, nobody waits at all.</summary>
    private static readonly TimeSpan WaitMax = TimeSpan.FromMilliseconds(250);

    /// <inheritdoc cref="Journal.SettleAsync"/>
    public async Task<long> SettleAsync(Charge charge)
    {
        var place = await journal.SettleAsync(charge);
        if (settings.Acknowledge == Acknowledgement.Ledger && journal.ShipLag < WaitMax)
        {
            using var bound = new CancellationTokenSource(WaitMax);
            try
            {
                await writer.FlushAsync(bound.Token);
            }
            catch (OperationCanceledException)
            {
                // The journal has it; the ledger writer goes on.
            }
        }

        return place;
    }
}

using Dvara.Server.Metering;

namespace Dvara.Server.Costs;

/// <summary>
/// Read your writes: before costs are read, what this silo's journal already holds is shipped, so that a charge whose answer a client
/// has seen is in the very next answer here. Bounded: a ledger that is busy or away makes costs late, never the caller wait for it.
/// </summary>
internal sealed class LedgerCatchUp(LedgerWriter writer)
{
    private static readonly TimeSpan WaitMax = TimeSpan.FromSeconds(2);

    /// <summary>Where it ends too early, the ledger is behind: what it has is still the truth as of a moment ago.</summary>
    public Task CatchUpAsync(CancellationToken cancellationToken) => writer.TryFlushAsync(WaitMax, cancellationToken);
}

using Dvara.Domain.Metering;

namespace Dvara.Server.Metering;

/// <summary>
/// What a row adds to the counts of every sum it belongs to. A correction that changes the state takes the old state's count back, so
/// that counts, like money, are plain sums over rows.
/// </summary>
/// <param name="Requests">1 where the row makes its request count as one with a billable attempt.</param>
/// <param name="Estimated">State ESTIMATED.</param>
/// <param name="Unpriced">State UNPRICED.</param>
/// <param name="Unresolved">State UNRESOLVED.</param>
/// <param name="Failed">State FAILED: nothing billable.</param>
internal readonly record struct ChargeCounts(long Requests, long Estimated, long Unpriced, long Unresolved, long Failed)
{
    /// <param name="state">What the row says of its attempt.</param>
    /// <param name="before">What the attempt's last revision said; null for an original.</param>
    /// <param name="isCounted">True: another attempt makes the request count already.</param>
    public static ChargeCounts Of(ChargeState state, ChargeState? before, bool isCounted)
    {
        var now = Of(state, isCounted);
        if (before is not { } old)
        {
            return now;
        }

        var then = Of(old, isCounted);
        return new(
            now.Requests - then.Requests,
            now.Estimated - then.Estimated,
            now.Unpriced - then.Unpriced,
            now.Unresolved - then.Unresolved,
            now.Failed - then.Failed);
    }

    private static ChargeCounts Of(ChargeState state, bool isCounted) => new(
        state != ChargeState.Failed && !isCounted ? 1 : 0,
        state == ChargeState.Estimated ? 1 : 0,
        state == ChargeState.Unpriced ? 1 : 0,
        state == ChargeState.Unresolved ? 1 : 0,
        state == ChargeState.Failed ? 1 : 0);
}

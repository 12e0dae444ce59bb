using Dvara.Domain.Metering;

namespace Dvara.Server.Metering;

/// <summary>How a request stands in the ledger before a row of one of its attempts.</summary>
/// <param name="Counted">What its rows add to the count of requests so far: 0 or 1.</param>
/// <param name="OtherIsBillable">The last revision of another attempt is anything but FAILED.</param>
internal readonly record struct RequestStanding(long Counted, bool OtherIsBillable);

/// <summary>
/// What a row adds to the counts of every sum it belongs to. A correction that changes the state takes the old state's count back, so
/// that counts, like money, are plain sums over rows.
/// </summary>
/// <param name="Requests">
/// What is missing to the truth: 1 where any attempt of the request is billable, whatever its rows have added so far. Of a request with
/// several attempts the row that brought the first of them carries the count, and keeps it while another one is billable.
/// </param>
/// <param name="Estimated">State ESTIMATED.</param>
/// <param name="Unpriced">State UNPRICED.</param>
/// <param name="Unresolved">State UNRESOLVED.</param>
/// <param name="Failed">State FAILED: nothing billable.</param>
internal readonly record struct ChargeCounts(long Requests, long Estimated, long Unpriced, long Unresolved, long Failed)
{
    /// <param name="state">What the row says of its attempt.</param>
    /// <param name="before">What the attempt's last revision said; null for an original.</param>
    /// <param name="request">How the request stands without the row.</param>
    public static ChargeCounts Of(ChargeState state, ChargeState? before, RequestStanding request)
    {
        return new(
            (state != ChargeState.Failed || request.OtherIsBillable ? 1 : 0) - request.Counted,
            Change(ChargeState.Estimated),
            Change(ChargeState.Unpriced),
            Change(ChargeState.Unresolved),
            Change(ChargeState.Failed));

        long Change(ChargeState counted) => (state == counted ? 1 : 0) - (before == counted ? 1 : 0);
    }
}

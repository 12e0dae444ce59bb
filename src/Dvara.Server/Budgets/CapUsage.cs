using System.Data.Common;
using Dapper;
using Dvara.Domain.Budgets;

namespace Dvara.Server.Budgets;

/// <summary>What a period of a cap has used, as the ledger has it.</summary>
internal static class CapUsage
{
    private const string ReadPeriodSql = """
        SELECT p.baseline_pico_usd AS baseline, p.baseline_requests AS baselineRequests,
            EXISTS (SELECT 1 FROM cap_events e
                WHERE e.cap_id = p.cap_id AND e.start_ms = p.start_ms AND e.threshold = 'SOFT' AND e.arm = p.soft_arm) AS softTold,
            EXISTS (SELECT 1 FROM cap_events e
                WHERE e.cap_id = p.cap_id AND e.start_ms = p.start_ms AND e.threshold = 'HARD' AND e.arm = p.hard_arm) AS hardTold
        FROM cap_periods p WHERE p.cap_id = @cap AND p.start_ms = @start
        """;

    private const string ReadLeasesSql = $"""
        SELECT l.granted_pico_usd AS granted, l.settled_pico_usd AS settled, l.above_bound_pico_usd AS aboveBound, l.late_pico_usd AS late,
            l.corrected_pico_usd AS corrected, l.beyond_pico_usd AS beyond, l.requests, l.refused,
            {LeaseStore.Exposed} AS exposed
        FROM leases l WHERE l.cap_id = @cap AND l.start_ms = @start
        """;

    /// <param name="transaction">A snapshot, or a write.</param>
    /// <param name="cap">The cap, with the limit that the figures are about.</param>
    /// <param name="periodStart">Of the period. One that nothing has happened in yet has no rows.</param>
    public static async Task<CapUse> ReadAsync(DbTransaction transaction, Cap cap, DateTimeOffset periodStart)
    {
        var parameters = new { cap = cap.Id, start = periodStart };
        var period = await transaction.Connection!.QuerySingleOrDefaultAsync<PeriodUse>(ReadPeriodSql, parameters, transaction);
        var leases = await transaction.Connection!.QueryAsync<LeaseUse>(ReadLeasesSql, parameters, transaction);
        return CapUse.Of(cap, period ?? new(), leases.AsList());
    }
}

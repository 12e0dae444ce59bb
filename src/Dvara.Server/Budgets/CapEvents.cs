using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Time;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Storage;
using Npgsql;

namespace Dvara.Server.Budgets;

/// <summary>
/// Tells once per cap, period, threshold and arm that a threshold was reached: an audit event and a row of the outbox, in the transaction
/// that found it.
/// </summary>
internal static class CapEvents
{
    private const string Standings = """
        SELECT p.cap_id AS cap, p.start_ms AS start, p.soft_arm AS softArm, p.hard_arm AS hardArm, p.baseline_pico_usd AS baseline,
            coalesce((SELECT sum(l.settled_pico_usd) FROM leases l WHERE l.cap_id = p.cap_id AND l.start_ms = p.start_ms), 0) AS settled,
            (SELECT count(*) FROM cap_events e
                WHERE e.cap_id = p.cap_id AND e.start_ms = p.start_ms AND e.threshold = 'SOFT' AND e.arm = p.soft_arm) AS softTold,
            (SELECT count(*) FROM cap_events e
                WHERE e.cap_id = p.cap_id AND e.start_ms = p.start_ms AND e.threshold = 'HARD' AND e.arm = p.hard_arm) AS hardTold
        FROM cap_periods p
        """;

    private const string ReadStandingSql = Standings + " WHERE p.cap_id = @cap AND p.start_ms = @start";

    private const string ReadStandingsSql = Standings + " JOIN unnest(@caps, @starts) AS asked (cap_id, start_ms) ON p.cap_id = asked.cap_id AND p.start_ms = asked.start_ms";

    private const string TenantNameSql = "SELECT name FROM tenants WHERE id = @tenant";

    private static readonly BulkInsert Events = new(
        "cap_events",
        [("cap_id", BulkType.Id), ("start_ms", BulkType.Number), ("threshold", BulkType.Text), ("arm", BulkType.Number), ("event_id", BulkType.Id)],
        "(cap_id, start_ms, threshold, arm) DO NOTHING",
        "event_id");

    private static readonly BulkInsert Outbox = new(
        "outbox",
        [("id", BulkType.Id), ("type", BulkType.Text), ("tenant_id", BulkType.Id), ("payload", BulkType.Text), ("created_ms", BulkType.Number)],
        "(id) DO NOTHING");

    /// <summary>As <see cref="TellAsync"/>, of caps that may have been changed since they were read: where something is due they are read again.</summary>
    /// <param name="transaction">The one that charged.</param>
    /// <param name="charged">Caps as the caller knows them, each with its period.</param>
    /// <param name="now">Now.</param>
    public static async Task TellDueAsync(DbTransaction transaction, IReadOnlyCollection<(Cap Known, TimeWindow Period)> charged, DateTimeOffset now)
    {
        var enabled = charged.Where(one => one.Known.Enabled).ToDictionary(one => (one.Known.Id, one.Period.From));
        // In one order, so that two batches that tell of the same caps do not wait for each other.
        foreach (var standing in (await ReadAsync(transaction, [.. enabled.Keys])).OrderBy(standing => standing.Cap.Value))
        {
            var (known, period) = enabled[(standing.Cap, standing.Start)];
            if (standing.Due(known, isReached: false) is not (false, false) && await CapStore.LockAsync(transaction, known.Id) is { Enabled: true } cap)
            {
                await TellAsync(transaction, cap, period, isReached: false, now);
            }
        }
    }

    /// <summary>Tells what is due and has not been told.</summary>
    /// <param name="transaction">The one that charged, or refused.</param>
    /// <param name="cap">The cap in force, locked by the transaction: its limit decides, and an arm rises only behind it.</param>
    /// <param name="period">Its period.</param>
    /// <param name="isReached">True: a call was refused for good that would have fit if nothing had been spent, so the limit counts as reached.</param>
    /// <param name="now">Now.</param>
    public static async Task TellAsync(DbTransaction transaction, Cap cap, TimeWindow period, bool isReached, DateTimeOffset now)
    {
        var standing = (await ReadAsync(transaction, [(cap.Id, period.From)]))[0];
        var (soft, hard) = standing.Due(cap, isReached);
        if (!soft && !hard)
        {
            return;
        }

        var tenantName = await transaction.Connection!.QuerySingleOrDefaultAsync<string>(TenantNameSql, new { tenant = cap.TenantId }, transaction);
        if (soft)
        {
            await TellAsync(AuditTypes.BudgetCapSoft, "SOFT", standing.SoftArm);
        }

        if (hard)
        {
            await TellAsync(AuditTypes.BudgetCapHard, "HARD", standing.HardArm);
        }

        async Task TellAsync(string type, string threshold, long arm)
        {
            var told = AuditEvent.Of(now, type, cap.TenantId, "system", null, new
            {
                budgetId = cap.Id,
                cap.Name,
                tenantId = cap.TenantId,
                tenantName,
                scope = cap.ScopeName(),
                period = cap.Period.ContractName(),
                limitUsd = cap.Limit,
                spentUsd = standing.Spent,
                usedPct = CapUse.PercentOf(standing.Spent, cap.Limit),
                softLimitPct = cap.SoftPct,
                periodStart = period.From,
                resetsAt = period.To,
            });
            object?[] row = [cap.Id.Value, period.From.ToUnixTimeMilliseconds(), threshold, arm, told.Id];
            if ((await Events.RunAsync(transaction, [row])).Count == 1)
            {
                await AuditTrail.AppendAsync(transaction, told);
                await Outbox.RunAsync(transaction, [[told.Id, type, cap.TenantId?.Value, told.Payload, now.ToUnixTimeMilliseconds()]]);
            }
        }
    }

    /// <summary>In one round trip, however many a batch has charged.</summary>
    private static async Task<List<Standing>> ReadAsync(DbTransaction transaction, IReadOnlyList<(CapId Cap, DateTimeOffset Start)> periods)
    {
        if (transaction.Connection is NpgsqlConnection)
        {
            var (caps, starts) = (periods.Select(period => period.Cap.Value).ToArray(), periods.Select(period => period.Start.ToUnixTimeMilliseconds()).ToArray());
            return [.. await transaction.Connection.QueryAsync<Standing>(ReadStandingsSql, new { caps, starts }, transaction)];
        }

        var standings = new List<Standing>(periods.Count);
        foreach (var (cap, start) in periods)
        {
            standings.AddRange(await transaction.Connection!.QueryAsync<Standing>(ReadStandingSql, new { cap, start }, transaction));
        }

        return standings;
    }

    private sealed class Standing
    {
        public CapId Cap { get; init; }

        public DateTimeOffset Start { get; init; }

        public long SoftArm { get; init; }

        public long HardArm { get; init; }

        public Usd Baseline { get; init; }

        public Usd Settled { get; init; }

        public long SoftTold { get; init; }

        public long HardTold { get; init; }

        public Usd Spent => Baseline + Settled;

        /// <summary>The hard one brings the soft one along.</summary>
        public (bool Soft, bool Hard) Due(Cap cap, bool isReached)
        {
            var isHard = isReached || Spent >= cap.Limit;
            return (SoftTold == 0 && cap.SoftThreshold is { } soft && (isHard || Spent >= soft), HardTold == 0 && isHard);
        }
    }
}

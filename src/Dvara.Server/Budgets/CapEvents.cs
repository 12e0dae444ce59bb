using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Time;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Storage;

namespace Dvara.Server.Budgets;

/// <summary>
/// Tells once per cap, period, threshold and arm that a threshold was reached: an audit event and a row of the outbox, in the transaction
/// that found it.
/// </summary>
internal static class CapEvents
{
    private const string ReadStandingSql = """
        SELECT p.soft_arm AS softArm, p.hard_arm AS hardArm, p.baseline_pico_usd AS baseline,
            coalesce((SELECT sum(l.settled_pico_usd) FROM leases l WHERE l.cap_id = p.cap_id AND l.start_ms = p.start_ms), 0) AS settled,
            (SELECT count(*) FROM cap_events e
                WHERE e.cap_id = p.cap_id AND e.start_ms = p.start_ms AND e.threshold = 'SOFT' AND e.arm = p.soft_arm) AS softTold,
            (SELECT count(*) FROM cap_events e
                WHERE e.cap_id = p.cap_id AND e.start_ms = p.start_ms AND e.threshold = 'HARD' AND e.arm = p.hard_arm) AS hardTold,
            (SELECT t.name FROM tenants t WHERE t.id = @tenant) AS tenantName
        FROM cap_periods p WHERE p.cap_id = @cap AND p.start_ms = @start
        """;

    private static readonly BulkInsert Events = new(
        "cap_events",
        [("cap_id", BulkType.Id), ("start_ms", BulkType.Number), ("threshold", BulkType.Text), ("arm", BulkType.Number), ("event_id", BulkType.Id)],
        "(cap_id, start_ms, threshold, arm) DO NOTHING",
        "event_id");

    private static readonly BulkInsert Outbox = new(
        "outbox",
        [("id", BulkType.Id), ("type", BulkType.Text), ("tenant_id", BulkType.Id), ("payload", BulkType.Text), ("created_ms", BulkType.Number)],
        "(id) DO NOTHING");

    /// <summary>As <see cref="TellAsync"/>, by a cap that may have been changed since it was read: where something is due it is read again.</summary>
    /// <param name="transaction">The one that charged.</param>
    /// <param name="known">The cap as the caller knows it.</param>
    /// <param name="period">Its period.</param>
    /// <param name="now">Now.</param>
    public static async Task TellDueAsync(DbTransaction transaction, Cap known, TimeWindow period, DateTimeOffset now)
    {
        if (known.Enabled && (await ReadAsync(transaction, known, period)).Due(known, refused: false) is not (false, false)
            && await CapStore.LockAsync(transaction, known.Id) is { Enabled: true } cap)
        {
            await TellAsync(transaction, cap, period, refused: false, now);
        }
    }

    /// <summary>Tells what is due and has not been told.</summary>
    /// <param name="transaction">The one that charged, or refused.</param>
    /// <param name="cap">The cap in force, locked by the transaction: its limit decides, and an arm rises only behind it.</param>
    /// <param name="period">Its period.</param>
    /// <param name="refused">True: a call was refused for good, so the limit counts as reached.</param>
    /// <param name="now">Now.</param>
    public static async Task TellAsync(DbTransaction transaction, Cap cap, TimeWindow period, bool refused, DateTimeOffset now)
    {
        var standing = await ReadAsync(transaction, cap, period);
        var (soft, hard) = standing.Due(cap, refused);
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
                standing.TenantName,
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

    private static Task<Standing> ReadAsync(DbTransaction transaction, Cap cap, TimeWindow period) =>
        transaction.Connection!.QuerySingleAsync<Standing>(
            ReadStandingSql, new { cap = cap.Id, start = period.From, tenant = cap.TenantId }, transaction);

    private sealed class Standing
    {
        public long SoftArm { get; init; }

        public long HardArm { get; init; }

        public Usd Baseline { get; init; }

        public Usd Settled { get; init; }

        public long SoftTold { get; init; }

        public long HardTold { get; init; }

        public string? TenantName { get; init; }

        public Usd Spent => Baseline + Settled;

        /// <summary>The hard one brings the soft one along.</summary>
        public (bool Soft, bool Hard) Due(Cap cap, bool refused)
        {
            var isHard = refused || Spent >= cap.Limit;
            return (SoftTold == 0 && cap.SoftThreshold is { } soft && (isHard || Spent >= soft), HardTold == 0 && isHard);
        }
    }
}

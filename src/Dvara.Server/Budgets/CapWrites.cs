using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Time;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Storage;
using Dvara.Server.Tenants;

namespace Dvara.Server.Budgets;

/// <summary>
/// Makes, changes and deletes caps. Every write raises the generation, by which ledger batches see that the caps they know are not the ones
/// in force, leaves its audit event, and announces itself on <see cref="CapStore.ChangeTopic"/>, all in one transaction.
/// </summary>
internal sealed class CapWrites(Database database, TimeProvider clock)
{
    private const string InsertSql = """
        INSERT INTO caps (id, tenant_id, api_key_id, tag_key, tag_value, model, name, period, time_zone, limit_pico_usd, soft_limit_pct, enabled,
            mode, on_shortfall, assumed_max_output_tokens, hold_wait_ms, provenance, created_at_ms, updated_at_ms)
        VALUES (@id, @tenantId, @apiKeyId, @tagKey, @tagValue, @model, @name, @period, @timeZone, @limit, @softPct, @enabled,
            @mode, @onShortfall, @assumedMaxOutputTokens, @holdWaitMs, @provenance, @createdAt, @updatedAt)
        """;

    private const string UpdateSql = """
        UPDATE caps SET name = @name, limit_pico_usd = @limit, soft_limit_pct = @softPct, enabled = @enabled, mode = @mode,
            on_shortfall = @onShortfall, assumed_max_output_tokens = @assumedMaxOutputTokens, hold_wait_ms = @holdWaitMs, updated_at_ms = @updatedAt
        WHERE id = @id
        """;

    private const string DeleteSql = "UPDATE caps SET deleted_at_ms = @now WHERE id = @id";

    private const string RaiseGenerationSql = "UPDATE cap_generation SET value = value + 1";

    private const string InsertPeriodSql = """
        INSERT INTO cap_periods (cap_id, start_ms, end_ms, baseline_pico_usd, baseline_requests) VALUES (@cap, @start, @end, @baseline, @requests)
        """;

    // Whoever grants, or tells of a threshold, waits for it.
    private const string LockPeriodSql = "UPDATE cap_periods SET soft_arm = soft_arm WHERE cap_id = @cap AND start_ms = @start";

    private const string RaiseArmsSql = """
        UPDATE cap_periods SET
            soft_arm = soft_arm + CASE WHEN @softRises AND EXISTS (SELECT 1 FROM cap_events e WHERE e.cap_id = cap_periods.cap_id
                AND e.start_ms = cap_periods.start_ms AND e.threshold = 'SOFT' AND e.arm = cap_periods.soft_arm) THEN 1 ELSE 0 END,
            hard_arm = hard_arm + CASE WHEN @hardRises AND EXISTS (SELECT 1 FROM cap_events e WHERE e.cap_id = cap_periods.cap_id
                AND e.start_ms = cap_periods.start_ms AND e.threshold = 'HARD' AND e.arm = cap_periods.hard_arm) THEN 1 ELSE 0 END
        WHERE cap_id = @cap AND start_ms = @start
        """;

    private const string StatusOfTenantSql = "SELECT status FROM tenants WHERE id = @tenantId";

    private const string FindKeySql = "SELECT tenant_id AS tenant, coalesce(line_id, id) AS line FROM api_keys WHERE id = @apiKeyId AND NOT hidden";

    private const string CeilingSql = """
        SELECT min(limit_pico_usd) FROM caps
        WHERE tenant_id = @tenantId AND api_key_id IS NULL AND tag_key IS NULL AND model IS NULL AND period = @period
            AND provenance = 'PLATFORM' AND enabled = 1 AND deleted_at_ms IS NULL
        """;

    /// <summary>
    /// Makes a cap. What the ledger has for its scope by then is its baseline; ledger batches wait until it is there and count what they
    /// bring, so every charge is counted once. Two of one scope and period may stand side by side: both must admit, so the tighter decides.
    /// </summary>
    /// <param name="asked">The cap, but for its time and the tenant and line of its key.</param>
    /// <param name="created">Makes the event.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    /// <returns>The cap, or the 400 for a scope that is not there.</returns>
    public Task<(Cap? Cap, ApiError? Error)> CreateAsync(Cap asked, Func<Cap, AuditEvent> created, CancellationToken cancellationToken) =>
        database.WriteAsync<(Cap?, ApiError?)>(
            WriteLane.Admin,
            async transaction =>
            {
                var (scoped, refusal) = await ScopeAsync(transaction, asked);
                refusal ??= await RefuseAboveCeilingAsync(transaction, scoped!);
                if (refusal is not null)
                {
                    return (null, refusal);
                }

                await database.LockLedgerAsync(transaction);
                // Under the lock: a period that began while it was waited for must not be missed.
                var now = clock.GetUtcNow().FloorToMillisecond();
                var cap = scoped! with { Id = new CapId(Uuid7.At(now)), CreatedAt = now, UpdatedAt = now };
                await transaction.Connection!.ExecuteAsync(InsertSql, Parameters(cap), transaction);
                var period = cap.PeriodAt(now);
                await BeginAsync(transaction, cap, period);
                // Silos whose clocks are ahead may have charged to the next one already.
                await BeginAsync(transaction, cap, cap.PeriodAt(period.To));
                if (cap.Enabled && cap.Limit > Usd.Zero)
                {
                    // What it counts already may have reached a threshold.
                    await CapEvents.TellAsync(transaction, cap, period, isReached: false, now);
                }

                await SealAsync(transaction, cap, created(cap));
                return (cap, null);
            },
            cancellationToken);

    /// <summary>Changes a cap. The decision sees what the transaction sees, so that no other change comes in between.</summary>
    /// <param name="id">The cap.</param>
    /// <param name="decide">Gets the cap as it is (null: no such); answers with what it becomes, or with the refusal.</param>
    /// <param name="changed">Makes the event of a change from the first to the second; not asked where nothing differs.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    /// <returns>The cap as it is now, or the refusal.</returns>
    public Task<(Cap? Cap, ApiError? Error)> ChangeAsync(
        CapId id, Func<Cap?, (Cap? Next, ApiError? Error)> decide, Func<Cap, Cap, AuditEvent> changed, CancellationToken cancellationToken) =>
        database.WriteAsync(
            WriteLane.Admin,
            async transaction =>
            {
                var before = await CapStore.FindAsync(transaction.Connection!, id, transaction);
                var (next, refusal) = decide(before);
                // A ceiling that was lowered since must not keep the cap from being lowered after it, or renamed.
                refusal ??= next!.Limit > before!.Limit ? await RefuseAboveCeilingAsync(transaction, next) : null;
                if (refusal is not null || next! with { UpdatedAt = before!.UpdatedAt } == before)
                {
                    return (before, refusal);
                }

                // The cap before its period, as whoever grants takes them.
                await transaction.Connection!.ExecuteAsync(UpdateSql, Parameters(next), transaction);
                await RearmAsync(transaction, before, next);
                if (next.Limit > Usd.Zero)
                {
                    // Silos look at what they lease, and none may have a lease of it any more.
                    var now = clock.GetUtcNow();
                    await CapEvents.TellDueAsync(transaction, [(next, next.PeriodAt(now))], now);
                }

                await SealAsync(transaction, next, changed(before, next));
                return (next, null);
            },
            cancellationToken);

    /// <summary>Deletes a cap. Its row stays: events and statements keep its name.</summary>
    /// <param name="id">The cap.</param>
    /// <param name="refuse">Gets the cap (null: no such); answers with the refusal, or null.</param>
    /// <param name="deleted">Makes the event.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public Task<ApiError?> DeleteAsync(
        CapId id, Func<Cap?, ApiError?> refuse, Func<Cap, AuditEvent> deleted, CancellationToken cancellationToken) =>
        database.WriteAsync(
            WriteLane.Admin,
            async transaction =>
            {
                var cap = await CapStore.FindAsync(transaction.Connection!, id, transaction);
                if (refuse(cap) is { } refusal)
                {
                    return refusal;
                }

                await transaction.Connection!.ExecuteAsync(DeleteSql, new { id, now = clock.GetUtcNow() }, transaction);
                await SealAsync(transaction, cap!, deleted(cap!));
                return null;
            },
            cancellationToken);

    /// <summary>The cap with tenant and line of its key, or the 400 for a tenant or key that is not there.</summary>
    private static async Task<(Cap? Cap, ApiError? Error)> ScopeAsync(DbTransaction transaction, Cap asked)
    {
        var connection = transaction.Connection!;
        var key = asked.Key is { Named: var apiKeyId }
            ? await connection.QuerySingleOrDefaultAsync<(TenantId Tenant, KeyLineId Line)?>(FindKeySql, new { apiKeyId }, transaction)
            : null;
        if ((asked.TenantId ?? key?.Tenant) is not { } tenantId)
        {
            return asked.Key is null ? (asked, null) : (null, BudgetRefusals.NoSuchKey());
        }

        var status = await connection.QuerySingleOrDefaultAsync<string>(StatusOfTenantSql, new { tenantId }, transaction);
        ApiError? refusal = status is null ? ApiError.Validation([BudgetRefusals.NoSuchTenant])
            : status == TenantStatus.Closed.ContractName() ? BudgetRefusals.TenantClosed()
            : asked.Key is not null && key?.Tenant != tenantId ? BudgetRefusals.NoSuchKey()
            : null;
        return (asked with { TenantId = tenantId, Key = key is { } found ? asked.Key!.Value with { Line = found.Line } : null }, refusal);
    }

    /// <summary>
    /// A tenant's own cap above what the platform allows the tenant as a whole could never be reached; it would only look like more.
    /// </summary>
    private static async Task<ApiError?> RefuseAboveCeilingAsync(DbTransaction transaction, Cap cap)
    {
        if (cap.Provenance == CapProvenance.Platform)
        {
            return null;
        }

        var ceiling = await transaction.Connection!.QuerySingleAsync<long?>(
            CeilingSql, new { tenantId = cap.TenantId, period = cap.Period.ContractName() }, transaction);
        return cap.Limit.PicoUsd > ceiling ? BudgetRefusals.AboveCeiling(Usd.FromPico(ceiling.Value), cap.Period) : null;
    }

    private static async Task BeginAsync(DbTransaction transaction, Cap cap, TimeWindow period)
    {
        var before = await CapBaseline.SumAsync(transaction, cap, period);
        await transaction.Connection!.ExecuteAsync(
            InsertPeriodSql,
            new { cap = cap.Id, start = period.From, end = period.To, baseline = before.Baseline, requests = before.BaselineRequests },
            transaction);
    }

    /// <summary>
    /// A threshold that the change puts above the spend, or takes away, is told of again when it is reached again. What is spent stays.
    /// </summary>
    private async Task RearmAsync(DbTransaction transaction, Cap before, Cap next)
    {
        // One that does not rise stays told of: a refusal tells of the limit before the spend is there.
        if (next.SoftThreshold == before.SoftThreshold && next.Limit <= before.Limit)
        {
            return;
        }

        var start = next.PeriodAt(clock.GetUtcNow()).From;
        await transaction.Connection!.ExecuteAsync(LockPeriodSql, new { cap = next.Id, start }, transaction);
        var spent = (await CapUsage.ReadAsync(transaction, next, start)).Figures.Spent;
        await transaction.Connection!.ExecuteAsync(
            RaiseArmsSql,
            new
            {
                cap = next.Id,
                start,
                softRises = !(next.SoftThreshold <= before.SoftThreshold) && !(next.SoftThreshold <= spent),
                hardRises = next.Limit > before.Limit && next.Limit > spent,
            },
            transaction);
    }

    private static async Task SealAsync(DbTransaction transaction, Cap cap, AuditEvent auditEvent)
    {
        await transaction.Connection!.ExecuteAsync(RaiseGenerationSql, transaction: transaction);
        await AuditTrail.AppendAsync(transaction, auditEvent);
        await ChangeFeed.AnnounceAsync(transaction, CapStore.ChangeTopic, cap.Id.ToString());
    }

    private static object Parameters(Cap cap) => new
    {
        id = cap.Id,
        tenantId = cap.TenantId,
        apiKeyId = cap.Key?.Named,
        tagKey = cap.Tag?.Key,
        tagValue = cap.Tag?.Value,
        model = cap.Model,
        name = cap.Name,
        period = cap.Period.ContractName(),
        timeZone = cap.TimeZone,
        limit = cap.Limit,
        softPct = cap.SoftPct,
        enabled = cap.Enabled ? 1L : 0L,
        mode = cap.Mode.ContractName(),
        onShortfall = cap.OnShortfall.ContractName(),
        assumedMaxOutputTokens = cap.AssumedMaxOutputTokens,
        holdWaitMs = (long)cap.HoldWaitMs,
        provenance = cap.Provenance.ContractName(),
        createdAt = cap.CreatedAt,
        updatedAt = cap.UpdatedAt,
    };
}

using Dvara.Domain;
using Dvara.Domain.Statements;
using Dvara.Domain.Time;
using Dvara.Server.ApiKeys;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.Idempotency;
using Dvara.Server.Metering;
using Dvara.Server.Tenants;
using Orleans.Placement;

namespace Dvara.Server.Chargeback;

/// <summary>
/// Closes months and draws statements. A close is two steps, and each can be repeated: the month is closed and numbered in one short
/// transaction, which fixes its rows; then they are read, rendered and stored. A process that dies in between leaves a closed month
/// without a statement, and the next order makes it from the same rows. One activation per tenant keeps work from being done twice;
/// should there ever be two, the store's unique constraints let one of them win.
/// </summary>
[RandomPlacement]
internal sealed class ChargebackGrain(
    StatementStore statements,
    BilledRowStore rows,
    StatementPress press,
    LedgerWriter ledger,
    TenantDirectory tenants,
    ApiKeyNames keys,
    TimeProvider clock) : Grain, IChargebackGrain
{
    private static readonly StatementOutcome LedgerIsBehind = new() { StatementId = default, Created = false, LedgerIsBehind = true };

    private TenantId Tenant => new(this.GetPrimaryKey());

    public async Task<StatementOutcome?> GenerateAsync(StatementOrder order)
    {
        if (await tenants.NameAsync(Tenant, CancellationToken.None) is not { } tenantName)
        {
            return null;
        }

        var window = new TimeWindow(order.From, order.To);
        var now = clock.GetUtcNow();
        return window.IsCalendarMonth && window.To <= now
            ? await CloseAsync(order, window, tenantName, now)
            : await LookAsync(order, window, tenantName, now);
    }

    private async Task<StatementOutcome> CloseAsync(StatementOrder order, TimeWindow window, string tenantName, DateTimeOffset now)
    {
        var month = BillingMonth.Of(window.From);
        if (await statements.FindFinalAsync(Tenant, month, CancellationToken.None) is { } known)
        {
            return new() { StatementId = known.Value, Created = false };
        }

        // What comes later than the close is billed in the next open month.
        if (!await ledger.TryFlushAsync())
        {
            return LedgerIsBehind;
        }

        var closing = await statements.CloseAsync(Tenant, month, now, CancellationToken.None);
        var sheet = new StatementSheet(window);
        await rows.AddBilledAsync(sheet, Tenant, month, CancellationToken.None);
        var statement = await DrawAsync(order, window, tenantName, sheet, closing.ClosedAt);
        var id = await IssueAsync(order, statement with { Number = closing.Number, Status = StatementStatus.Final });
        var final = id ?? await statements.FindFinalAsync(Tenant, month, CancellationToken.None)
            ?? throw new InvalidOperationException($"Statement {closing.Number} is neither new nor there.");
        return new() { StatementId = final.Value, Created = id is not null };
    }

    private async Task<StatementOutcome> LookAsync(StatementOrder order, TimeWindow window, string tenantName, DateTimeOffset now)
    {
        if (!await ledger.TryFlushAsync())
        {
            return LedgerIsBehind;
        }

        var sheet = new StatementSheet(window);

        // A month that still runs shows what its final statement would; any other window can only go by the time of use.
        await (window.IsCalendarMonth
            ? rows.AddBilledAsync(sheet, Tenant, BillingMonth.Of(window.From), CancellationToken.None)
            : rows.AddUsedAsync(sheet, Tenant, window, CancellationToken.None));
        var statement = await DrawAsync(order, window, tenantName, sheet, now);
        var id = await IssueAsync(order, statement)
            ?? throw new InvalidOperationException($"Statement {statement.Id} exists already.");
        return new() { StatementId = id.Value, Created = true };
    }

    private async Task<Statement> DrawAsync(
        StatementOrder order, TimeWindow window, string tenantName, StatementSheet sheet, DateTimeOffset createdAt) => new()
    {
        Id = new StatementId(Uuid7.At(clock.GetUtcNow())),
        TenantId = Tenant,
        TenantName = tenantName,
        Window = window,
        Status = StatementStatus.Provisional,
        Trigger = order.Scheduled ? StatementTrigger.Scheduled : StatementTrigger.Manual,
        CreatedAt = createdAt,
        Contents = sheet.Close(await keys.NamesAsync(Tenant, CancellationToken.None)),
    };

    /// <returns>Null: somebody else stored the month's final statement.</returns>
    private async Task<StatementId?> IssueAsync(StatementOrder order, Statement drawn)
    {
        var print = press.Print(drawn);
        var statement = print.Statement;
        var auditEvent = AuditEvent.Of(
            clock.GetUtcNow(),
            statement.Status == StatementStatus.Failed ? AuditTypes.ChargebackFailed : AuditTypes.ChargebackGenerated,
            Tenant,
            order.Actor,
            order.RequestId,
            new
            {
                statementId = statement.Id,
                statement.Number,
                status = statement.Status.ContractName(),
                statement.Window.From,
                statement.Window.To,
                totalUsd = statement.Contents.Total.TotalCost,
                print.Sha256,
            });
        if (order.IdempotencyKey is { } key && order.Fingerprint is { } fingerprint)
        {
            auditEvent = auditEvent with { Claim = new IdempotencyClaim(order.Actor, key, fingerprint) };
        }

        return await statements.AddAsync(print, auditEvent, CancellationToken.None) ? statement.Id : null;
    }
}

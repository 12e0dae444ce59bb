using Dvara.Domain.Pricing;
using Dvara.Domain.Time;
using Dvara.Server.Audit;
using Dvara.Server.Storage;

namespace Dvara.Server.Pricing.Builtin;

/// <summary>Brings the stored shipped prices to the list of this program, at start, in one transaction. Never touches a custom price.</summary>
internal sealed partial class BuiltinPrices(Database database, TimeProvider clock, ILogger<BuiltinPrices> logger)
{
    public Task ApplyAsync(BuiltinPriceList list, CancellationToken cancellationToken) => database.WriteAsync(
        WriteLane.Admin,
        async transaction =>
        {
            var applied = await PriceStore.ListDateAsync(transaction);
            if (applied > list.CheckedOn)
            {
                LogOlderList(logger, list.CheckedOn, applied.Value);
                return;
            }

            var now = clock.GetUtcNow().FloorToMillisecond();
            var stored = await PriceStore.AllAsync(transaction, PriceSource.Builtin);
            var upgrade = BuiltinUpgrade.Plan(stored, list, PriceSchedule.NextChange(now), now);
            if (upgrade.IsEmpty)
            {
                return;
            }

            foreach (var id in upgrade.Withdraw)
            {
                await PriceStore.DeleteAsync(transaction, id);
            }

            foreach (var (id, endsAt) in upgrade.End)
            {
                await PriceStore.EndAsync(transaction, id, endsAt);
            }

            foreach (var (id, shipped) in upgrade.Refresh)
            {
                await PriceStore.SetProvenanceAsync(transaction, id, shipped);
            }

            foreach (var version in upgrade.Open)
            {
                await PriceStore.InsertAsync(transaction, version);
            }

            await PriceStore.SetListDateAsync(transaction, list.CheckedOn);
            var facts = new
            {
                action = "shipped",
                list.CheckedOn,
                opened = upgrade.Open.Count,
                ended = upgrade.End.Count,
                withdrawn = upgrade.Withdraw.Count,
                refreshed = upgrade.Refresh.Count,
            };
            await PriceChanges.TellAsync(transaction, [AuditEvent.BySystem(clock, AuditTypes.PricingUpdated, null, facts)]);
        },
        cancellationToken);

    [LoggerMessage(1, LogLevel.Warning,
        "The shipped price list of {CheckedOn} is older than the one of {Applied} that a newer version applied; the newer prices stay.")]
    private static partial void LogOlderList(ILogger logger, DateOnly checkedOn, DateOnly applied);
}

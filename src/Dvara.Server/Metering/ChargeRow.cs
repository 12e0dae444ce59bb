using System.Text.Json;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Time;
using Dvara.Server.Hosting;

namespace Dvara.Server.Metering;

/// <summary>How a charge stands in the ledger: one value per column of <c>charges</c>, and what the row adds to every sum.</summary>
internal sealed class ChargeRow
{
    private ChargeRow(Charge charge, ChargeCounts counts, object?[] values) => (Charge, Counts, Values) = (charge, counts, values);

    public Charge Charge { get; }

    public ChargeCounts Counts { get; }

    /// <summary>In the order of <see cref="LedgerStore.ChargeColumns"/>.</summary>
    public object?[] Values { get; }

    /// <exception cref="OverflowException">An amount needs more than the 64 bits of a row.</exception>
    public static ChargeRow Of(JournalId journal, JournaledCharge journaled, ChargeCounts counts, BillingMonth month)
    {
        var charge = LedgerText.Clean(journaled.Charge);
        var intent = charge.Intent;
        var usage = charge.Usage;
        return new(charge, counts,
        [
            intent.AttemptId.Value,
            (long)charge.Revision,
            charge.Kind.ContractName(),
            charge.State.ContractName(),
            intent.RequestId.Value,
            (long)intent.Attempt,
            intent.TenantId.Value,
            intent.ApiKeyId.Value,
            intent.Provider,
            charge.ServedModel,
            intent.RequestedModel,
            intent.Endpoint,
            intent.Stream ? 1L : 0L,
            usage?.UncachedInput,
            usage?.CacheRead,
            usage?.CacheWrite,
            usage?.Output,
            usage?.Reasoning,
            charge.Estimated ? 1L : 0L,
            charge.Cost.Input.ToRowPicoUsd(),
            charge.Cost.Output.ToRowPicoUsd(),
            charge.LowerBound.ToRowPicoUsd(),
            counts.Requests,
            counts.Estimated,
            counts.Unpriced,
            counts.Unresolved,
            counts.Failed,
            charge.PriceId?.Value,
            JsonSerializer.Serialize(intent.Tags, JournalJson.Default.IReadOnlyDictionaryStringString),
            intent.EndUser,
            intent.AttemptId.IntentTime.ToUnixTimeMilliseconds(),
            (long)month.Value,
            charge.LatencyMs,
            (long?)charge.Status,
            charge.Outcome,
            charge.ProviderRequestId,
            intent.IdempotencyKey,
            journal.Value,
            journaled.Seq,
        ]);
    }
}

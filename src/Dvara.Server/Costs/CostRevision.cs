using System.Text.Json.Serialization;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Time;

namespace Dvara.Server.Costs;

/// <summary>A correction of a line: what it changed the amounts by, and the state it left the attempt in.</summary>
/// <param name="BillingMonth">The month whose statement carries it, such as <c>2026-05</c>.</param>
internal sealed record CostRevision(
    int Revision,
    [property: JsonConverter(typeof(UpperCaseNames<RevisionKind>))] RevisionKind Kind,
    [property: JsonConverter(typeof(UpperCaseNames<ChargeState>))] ChargeState State,
    Int128 InputTokens,
    Int128 OutputTokens,
    Usd InputCostUsd,
    Usd OutputCostUsd,
    Usd TotalCostUsd,
    PriceId? PriceId,
    string BillingMonth)
{
    public static CostRevision Of(CostRow row)
    {
        var (input, output) = (Usd.FromPico(row.InputCostPicoUsd), Usd.FromPico(row.OutputCostPicoUsd));
        return new(
            row.Revision,
            row.Kind,
            row.State,
            (Int128)(row.UncachedInput ?? 0) + (row.CacheRead ?? 0) + (row.CacheWrite ?? 0),
            (Int128)(row.Output ?? 0) + (row.Reasoning ?? 0),
            input,
            output,
            input + output,
            row.PriceId,
            new BillingMonth(row.BillingMonth).ToString());
    }
}

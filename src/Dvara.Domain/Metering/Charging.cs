using Dvara.Domain.Pricing;

namespace Dvara.Domain.Metering;

/// <summary>Turns the end of an attempt into its charge. Pure: the same intent, end and price book give the same row for ever.</summary>
public static class Charging
{
    /// <summary>The charge of an attempt whose usage is known, priced at its intent time; without a price it is unpriced.</summary>
    public static Charge Settle(Intent intent, AttemptEnd end, TokenUsage usage, PriceBook prices)
    {
        var served = end.ServedModel ?? intent.Model;
        var at = intent.AttemptId.IntentTime;

        // The served name decides (a dated snapshot may have its own price); an alias that the provider expanded to a name
        // without a price still has the price of what was asked for.
        var price = prices.Find(intent.TenantId, intent.Provider, served, at)
            ?? prices.Find(intent.TenantId, intent.Provider, intent.Model, at);
        var charge = From(intent, end, price is null ? ChargeState.Unpriced : StateOf(usage)) with { Usage = usage };
        return price is null ? charge : charge with { Cost = Rating.Rate(usage, price), PriceId = price.Id };
    }

    /// <summary>The charge of an attempt for which the provider billed nothing.</summary>
    public static Charge Fail(Intent intent, AttemptEnd end) => From(intent, end, ChargeState.Failed);

    /// <summary>The charge of an attempt whose outcome nobody knows; what certainly happened is its lower bound.</summary>
    public static Charge Unresolve(Intent intent, AttemptEnd end, TokenUsage? atLeast, PriceBook prices)
    {
        var charge = From(intent, end, ChargeState.Unresolved);
        if (atLeast is null)
        {
            return charge;
        }

        var rated = Settle(intent, end, atLeast, prices);
        return charge with { Usage = atLeast, LowerBound = rated.Cost.Total, PriceId = rated.PriceId };
    }

    private static Charge From(Intent intent, AttemptEnd end, ChargeState state) => new()
    {
        Intent = intent,
        State = state,
        ServedModel = end.ServedModel ?? intent.Model,
        LatencyMs = end.LatencyMs,
        Status = end.Status,
        Outcome = end.Outcome,
        ProviderRequestId = end.ProviderRequestId,
    };

    private static ChargeState StateOf(TokenUsage usage) =>
        usage.Source == UsageSource.Estimated ? ChargeState.Estimated : ChargeState.Settled;
}

/// <summary>How an attempt ended, as seen from the wire.</summary>
public sealed record AttemptEnd
{
    public string? ServedModel { get; init; }

    public long LatencyMs { get; init; }

    public int? Status { get; init; }

    public string? Outcome { get; init; }

    public string? ProviderRequestId { get; init; }
}

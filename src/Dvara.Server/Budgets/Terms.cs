using Dvara.Domain;
using Dvara.Domain.Budgets;

namespace Dvara.Server.Budgets;

/// <summary>What an attempt needs, and how far that can be cut by an output limit of the gateway's own.</summary>
/// <param name="Bound">What it costs per output limit.</param>
/// <param name="Full">The most that it can cost as it is.</param>
/// <param name="Least">The same with the smallest output that is of use; <paramref name="Full"/> where nothing may be cut.</param>
/// <param name="SentLimit">The limit that must be sent, tokens per answer; null: the client's own holds, as it was sent.</param>
internal readonly record struct Terms(AttemptBound Bound, Usd Full, Usd Least, long? SentLimit)
{
    public static Terms Of(HoldRequest request, AttemptBound bound, IReadOnlyList<Cap> matching)
    {
        if (request.OutputLimit is { } own)
        {
            // Whatever the model is said to be able to: it is what the provider is asked for.
            var full = bound.With(own);
            return new(bound, full, full, request.SendsOutputLimit ? own : null);
        }

        var assumed = matching.Count == 0 ? Cap.AssumedMaxOutputTokensDefault : long.MaxValue;
        var mayCut = true;
        for (var i = 0; i < matching.Count; i++)
        {
            assumed = Math.Min(assumed, matching[i].AssumedMaxOutputTokens);
            mayCut &= matching[i].OnShortfall == Shortfall.Clamp;
        }

        var limit = Math.Min(assumed, request.OutputMax ?? long.MaxValue);
        return new(bound, bound.With(limit), bound.With(mayCut ? Math.Min(limit, BudgetGate.ClampMin) : limit), limit);
    }

    /// <summary>The terms that fit <paramref name="room"/>; null: not even the smallest do.</summary>
    public Terms? Within(Usd room)
    {
        if (Full <= room)
        {
            return this;
        }

        if (Least > room || Least == Full)
        {
            return null;
        }

        var limit = Bound.OutputWithin(room);
        return this with { Full = Bound.With(limit), SentLimit = limit };
    }
}

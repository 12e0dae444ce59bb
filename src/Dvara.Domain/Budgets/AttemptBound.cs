using Dvara.Domain.Pricing;

namespace Dvara.Domain.Budgets;

/// <summary>
/// The most that one attempt can cost, as far as its own request says: a fixed part for what is sent, and a rate for what may come back.
/// Every rate is the dearest that the body can cause.
/// </summary>
/// <param name="Fixed">Input side and per-request amount.</param>
/// <param name="OutputRate">Pico-dollars per output token.</param>
/// <param name="Choices">Answers that are written; each may use the whole output limit.</param>
public readonly record struct AttemptBound(Usd Fixed, long OutputRate, long Choices)
{
    /// <param name="price">Rates of the model, or the dearest of its provider.</param>
    /// <param name="inputTokens">At most so many are sent.</param>
    /// <param name="choices">Answers.</param>
    /// <param name="extraOutputTokens">Output tokens of each answer that no limit bounds.</param>
    public static AttemptBound Of(Price price, long inputTokens, long choices, long extraOutputTokens = 0)
    {
        var outputRate = Math.Max(price.OutputRate, price.ReasoningRate ?? 0);
        var inputRate = Math.Max(price.InputRate, Math.Max(price.CachedInputRate ?? 0, price.CacheWriteRate ?? 0));
        return new(
            new Usd(((Int128)inputTokens * inputRate) + ((Int128)extraOutputTokens * outputRate * choices)) + (price.PerRequest ?? Usd.Zero),
            outputRate,
            choices);
    }

    /// <summary>The bound with an output limit of <paramref name="outputTokens"/> per answer.</summary>
    public Usd With(long outputTokens) => Fixed + new Usd(checked((Int128)outputTokens * OutputRate * Choices));

    /// <summary>The largest output limit per answer whose bound fits <paramref name="room"/>; negative: not even the input fits.</summary>
    public long OutputWithin(Usd room)
    {
        var left = room.PicoUsd - Fixed.PicoUsd;
        if (left < 0)
        {
            return -1;
        }

        var perToken = (Int128)OutputRate * Choices;
        return perToken == 0 ? long.MaxValue : (long)Int128.Min(left / perToken, long.MaxValue);
    }
}

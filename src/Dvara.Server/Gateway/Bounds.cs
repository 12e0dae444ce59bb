using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Pricing;
using Dvara.Providers;
using Dvara.Providers.Mock;
using Dvara.Server.Budgets;
using Dvara.Server.Pricing;
using Dvara.Server.Tenants;

namespace Dvara.Server.Gateway;

/// <summary>What an attempt can cost at most, worked out from its request.</summary>
internal sealed class Bounds(PriceBookState prices, TimeProvider clock)
{
    /// <summary>Output tokens of a legacy completion that names no limit (https://platform.openai.com/docs/api-reference/completions, max_tokens).</summary>
    private const long CompletionDefault = 16;

    /// <summary>What our count of the input may be short of the provider's: its own framing of messages, tools and formats.</summary>
    private const int CountMarginPct = 5;

    private const int CountMarginTokens = 64;

    public static CapScope ScopeOf(AdmittedCall call) => new(new(call.Caller.TenantId), call.Caller.Line, call.Route.Provider.Id, call.Route.Model, call.Tags);

    /// <summary>True where the tenant bounds what a single call may cost.</summary>
    public static bool HasCeiling(AdmittedCall call) => call.Caller.TenantMetadata.ContainsKey(TenantMetadata.MaxPerCallUsd);

    public HoldRequest Of(AdmittedCall call)
    {
        var provider = call.Route.Provider.Id;
        var (price, rates) = PriceOf(call, clock.GetUtcNow());
        var isMock = provider == ProviderNames.Mock;
        var bound = isMock ? MockProviderHandler.Bound(call.Facts) : RequestBound.Of(call.Facts);
        // Of a scripted mock the script is the whole output; elsewhere each choice may use the limit.
        var isWhole = isMock && call.Facts.Mock?.CompletionTokens is not null;
        var choices = isWhole ? 1 : call.Facts.Choices;
        return new()
        {
            Scope = ScopeOf(call),
            Bound = rates is null ? null : AttemptBound.Of(rates, bound.InputTokens, choices, call.Facts.PredictionBytes),
            Price = rates,
            IsPriced = price is not null,
            // Other vocabularies than OpenAI's may count more than we do; bytes bound them all.
            Tighter = rates is not null && provider == ProviderNames.OpenAi ? () => AttemptBound.Of(rates, CountedInput(call, bound), choices, call.Facts.PredictionBytes) : null,
            OutputLimit = call.Endpoint == Endpoint.Embeddings ? 0 : isWhole ? bound.OutputTokens : call.Facts.OutputLimit,
            SendsOutputLimit = !isMock && provider != ProviderNames.OpenAi && call.Endpoint == Endpoint.ChatCompletions && !call.Facts.HasMaxTokens,
            OutputMax = call.Endpoint == Endpoint.Completions && call.Facts.OutputLimit is null ? CompletionDefault : isWhole ? null : price?.MaxOutputTokens,
            PerCallMax = PerCallMax(call),
        };
    }

    /// <summary>False: the price has changed since <paramref name="request"/> was made of <paramref name="call"/>, or what is charged by in its place.</summary>
    public bool IsPricedBy(HoldRequest request, AdmittedCall call, DateTimeOffset at) => PriceOf(call, at).Rates == request.Price;

    /// <returns>The model's own price, and what bounds the call: the same, or the dearest of its provider.</returns>
    private (Price? Own, Price? Rates) PriceOf(AdmittedCall call, DateTimeOffset at)
    {
        var (book, tenant, provider) = (prices.Current, new TenantId(call.Caller.TenantId), call.Route.Provider.Id);
        var own = book.Find(tenant, provider, call.Route.Model, at);
        return (own, own ?? book.FindDearest(tenant, provider, at));
    }

    private static long CountedInput(AdmittedCall call, RequestBound bound)
    {
        var counted = TokenCounter.CountInput(call.Route.Model, call.Endpoint, call.Body.Span);
        return Math.Min(
            bound.InputTokens,
            counted + (counted * CountMarginPct / 100) + CountMarginTokens + call.Facts.OtherBytes + (call.Facts.MediaParts * RequestBound.MediaTokens));
    }

    private static Usd? PerCallMax(AdmittedCall call) =>
        call.Caller.TenantMetadata.TryGetValue(TenantMetadata.MaxPerCallUsd, out var text)
            ? Usd.FromDecimal(decimal.Parse(text, System.Globalization.NumberStyles.AllowDecimalPoint, System.Globalization.CultureInfo.InvariantCulture))
            : null;
}

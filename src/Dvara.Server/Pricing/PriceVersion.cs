using Dvara.Domain;
using Dvara.Domain.Pricing;

namespace Dvara.Server.Pricing;

/// <summary>Whose price of which model: the versions of one key follow each other and never overlap.</summary>
internal readonly record struct PriceKey(PriceSource Source, TenantId? TenantId, string Provider, string Model);

/// <summary>A price as it is kept: what rates, and where it comes from.</summary>
internal sealed record PriceVersion
{
    /// <summary>Its <see cref="Price.EffectiveTo"/> is the end that holds: its own, or the start of the next version.</summary>
    public required Price Price { get; init; }

    /// <summary>Its own end, whatever follows; null: open.</summary>
    public DateTimeOffset? EndsAt { get; init; }

    /// <summary>Where the rates can be read.</summary>
    public string? SourceUrl { get; init; }

    /// <summary>When they were last seen there.</summary>
    public DateOnly? CheckedOn { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public PriceKey Key => new(Price.Source, Price.TenantId, Price.Provider, Price.Model);

    /// <summary>True when both rate any usage alike, whenever they are valid.</summary>
    public bool RatesAs(PriceVersion other) => Rates(Price) == Rates(other.Price);

    private static (long, long, long?, long?, long?, Usd?) Rates(Price price) =>
        (price.InputRate, price.OutputRate, price.CachedInputRate, price.CacheWriteRate, price.ReasoningRate, price.PerRequest);
}

namespace Dvara.Domain.Pricing;

/// <summary>Who wrote a price: shipped with the product, or made by an admin. An upgrade never touches the latter.</summary>
public enum PriceSource
{
    Builtin,
    Custom,
}

/// <summary>
/// One version of the price of one model. Rates are USD per million tokens with at most 6 decimals, kept as pico-dollars per
/// token: the same number, and an integer, so that tokens x rate is exact.
/// </summary>
public sealed record Price
{
    public required PriceId Id { get; init; }

    /// <summary>Set: this tenant's own rate.</summary>
    public TenantId? TenantId { get; init; }

    public required string Provider { get; init; }

    /// <summary>A model name, or a prefix when it ends with <c>*</c>.</summary>
    public required string Model { get; init; }

    /// <summary>Pico-dollars per uncached input token.</summary>
    public required long InputRate { get; init; }

    /// <summary>Pico-dollars per output token.</summary>
    public required long OutputRate { get; init; }

    /// <summary>Pico-dollars per cached input token; absent: <see cref="InputRate"/>.</summary>
    public long? CachedInputRate { get; init; }

    /// <summary>Pico-dollars per input token written to the cache; absent: <see cref="InputRate"/>.</summary>
    public long? CacheWriteRate { get; init; }

    /// <summary>Pico-dollars per reasoning token; absent: <see cref="OutputRate"/>.</summary>
    public long? ReasoningRate { get; init; }

    /// <summary>Charged once per attempt, with the output side; absent: nothing.</summary>
    public Usd? PerRequest { get; init; }

    /// <summary>The most output tokens the model can produce, where publicly known.</summary>
    public int? MaxOutputTokens { get; init; }

    /// <summary>First instant at which this version rates.</summary>
    public required DateTimeOffset EffectiveFrom { get; init; }

    /// <summary>First instant at which it no longer does; absent: open.</summary>
    public DateTimeOffset? EffectiveTo { get; init; }

    public required PriceSource Source { get; init; }

    public bool IsPrefix => Model.EndsWith('*');

    public bool IsEffectiveAt(DateTimeOffset instant) => EffectiveFrom <= instant && (EffectiveTo is not { } to || instant < to);
}

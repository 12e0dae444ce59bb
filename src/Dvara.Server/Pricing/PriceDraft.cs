using Dvara.Domain;
using Dvara.Domain.Pricing;

namespace Dvara.Server.Pricing;

/// <summary>A price as somebody wrote it, checked but without a place in time.</summary>
internal sealed record PriceDraft
{
    public TenantId? TenantId { get; init; }

    public required string Provider { get; init; }

    public required string Model { get; init; }

    public required long InputRate { get; init; }

    public required long OutputRate { get; init; }

    public long? CachedInputRate { get; init; }

    public long? CacheWriteRate { get; init; }

    public long? ReasoningRate { get; init; }

    public Usd? PerRequest { get; init; }

    public int? MaxOutputTokens { get; init; }

    public DateTimeOffset? EffectiveFrom { get; init; }

    public DateTimeOffset? EffectiveTo { get; init; }

    public string? SourceUrl { get; init; }

    public DateOnly? CheckedOn { get; init; }

    public PriceVersion ToVersion(PriceId id, PriceSource source, DateTimeOffset from, DateTimeOffset createdAt) => new()
    {
        Price = new()
        {
            Id = id,
            TenantId = TenantId,
            Provider = Provider,
            Model = Model,
            InputRate = InputRate,
            OutputRate = OutputRate,
            CachedInputRate = CachedInputRate,
            CacheWriteRate = CacheWriteRate,
            ReasoningRate = ReasoningRate,
            PerRequest = PerRequest,
            MaxOutputTokens = MaxOutputTokens,
            EffectiveFrom = from,
            EffectiveTo = EffectiveTo,
            Source = source,
        },
        EndsAt = EffectiveTo,
        SourceUrl = SourceUrl,
        CheckedOn = CheckedOn,
        CreatedAt = createdAt,
    };
}

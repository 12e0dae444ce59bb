using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text.Json;
using Dvara.Domain;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Pricing;

/// <summary>A price as the API shows it. An absent bucket is null: it falls back when usage is rated, and is not zero.</summary>
internal sealed record PriceAnswer(
    PriceId Id,
    string Provider,
    string Model,
    Usd InputPerMillionUsd,
    Usd OutputPerMillionUsd,
    Usd? CachedInputPerMillionUsd,
    Usd? CacheWritePerMillionUsd,
    Usd? ReasoningPerMillionUsd,
    Usd? PerRequestUsd,
    int? MaxOutputTokens,
    TenantId? TenantId,
    DateTimeOffset EffectiveFrom,
    DateTimeOffset? EffectiveTo,
    string Source,
    string? SourceUrl,
    DateOnly? CheckedOn)
{
    public static PriceAnswer Of(PriceVersion version)
    {
        var price = version.Price;
        return new(
            price.Id,
            price.Provider,
            price.Model,
            PerMillion(price.InputRate),
            PerMillion(price.OutputRate),
            PerMillion(price.CachedInputRate),
            PerMillion(price.CacheWriteRate),
            PerMillion(price.ReasoningRate),
            price.PerRequest,
            price.MaxOutputTokens,
            price.TenantId,
            price.EffectiveFrom,
            price.EffectiveTo,
            price.Source.ContractName(),
            version.SourceUrl,
            version.CheckedOn);
    }

    /// <summary>Of what is shown: a version's end moves when another one follows it, without a write to its row.</summary>
    public string ETag()
    {
        var hash = SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(this, AdminJson.Options));
        return ETags.Of(BinaryPrimitives.ReadInt64BigEndian(hash) & long.MaxValue);
    }

    private static Usd PerMillion(long rate) => new((Int128)rate * 1_000_000);

    private static Usd? PerMillion(long? rate) => rate is { } known ? PerMillion(known) : null;
}

using Dvara.Domain;
using Dvara.Server.Tenants;

namespace Dvara.Server.ApiKeys;

internal enum ApiKeyStatus
{
    Active,
    Revoked,
    Rotated,
    Expired,
}

/// <summary>ApiKeyGrain's answer to "whose key is this": everything the data plane must know, so that it never asks a database.</summary>
[GenerateSerializer, Immutable, Alias("Dvara.ApiKeyIdentity")]
internal sealed record ApiKeyIdentity
{
    [Id(0)]
    public required Guid KeyId { get; init; }

    [Id(1)]
    public required Guid TenantId { get; init; }

    [Id(2)]
    public required ApiKeyStatus Status { get; init; }

    /// <summary>First instant at which the key no longer works (expiry, or the end of a rotation's overlap).</summary>
    [Id(3)]
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Empty: unrestricted.</summary>
    [Id(4)]
    public required string[] Scopes { get; init; }

    /// <summary>Allowed models, exact or prefix with <c>*</c>, as clients write them; empty: all.</summary>
    [Id(5)]
    public required string[] Models { get; init; }

    [Id(6)]
    public required Dictionary<string, string> Tags { get; init; }

    [Id(7)]
    public required TenantStatus TenantStatus { get; init; }

    [Id(8)]
    public required Dictionary<string, string> TenantTags { get; init; }

    /// <summary>The tenant's metadata: <c>cost.unpriced-policy</c> and the like.</summary>
    [Id(9)]
    public required Dictionary<string, string> TenantMetadata { get; init; }

    /// <summary>The first key of the line; null: this one.</summary>
    [Id(10)]
    public Guid? FirstKeyId { get; init; }

    public KeyLineId Line => new(FirstKeyId ?? KeyId);
}

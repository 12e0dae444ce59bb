using System.Security.Cryptography;
using System.Text;
using Dvara.Domain;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.AdminTokens;

/// <summary>A credential of the admin API, without its secret, of which only the hash is kept.</summary>
internal sealed record AdminToken
{
    public const string Prefix = "dvara_pat_";

    public required AdminTokenId Id { get; init; }

    public required string Name { get; init; }

    /// <summary>Null: the scopes were listed one by one.</summary>
    public AdminRole? Role { get; init; }

    public required IReadOnlySet<string> Scopes { get; init; }

    /// <summary>Set: sees this tenant alone.</summary>
    public TenantId? TenantId { get; init; }

    /// <summary>First instant at which it no longer works; null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    public DateTimeOffset? LastUsedAt { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public bool IsExpired(DateTimeOffset now) => ExpiresAt <= now;

    /// <summary>Can do everything everywhere now. One narrowed to a tenant cannot, whatever its role is called.</summary>
    public bool IsOwner(DateTimeOffset now) => Role == AdminRole.Owner && TenantId is null && !IsExpired(now);

    public AdminActor ToActor() => new(Id.ToString(), Name, Scopes, TenantId);

    /// <summary>A new secret: 256 random bits behind the prefix by which scanners know it.</summary>
    public static string MakeSecret() => Prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));

    /// <summary>
    /// What is stored and looked up. The look-up is by hash, so its timing tells nothing of a stored secret: who can steer the hash's
    /// bytes has broken SHA-256. No slow hash is needed for 256 random bits.
    /// </summary>
    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));
}

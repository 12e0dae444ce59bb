using Dvara.Domain;

namespace Dvara.Server.ApiKeys;

/// <summary>What an admin says about a key; a rotation hands it on to the new key.</summary>
/// <param name="Name">Unique among the tenant's active keys.</param>
/// <param name="Scopes">Sorted; empty: unrestricted.</param>
/// <param name="Models">Exact, or a prefix with a trailing <c>*</c>; empty: all.</param>
/// <param name="Tags">Defaults of the key's requests.</param>
/// <param name="ExpiresAt">First instant at which the key no longer works; null: never.</param>
internal sealed record ApiKeyAttributes(
    string Name,
    IReadOnlyList<string> Scopes,
    IReadOnlyList<string> Models,
    IReadOnlyDictionary<string, string> Tags,
    DateTimeOffset? ExpiresAt);

/// <summary>A credential of the data plane, without its secret, of which only the hash is kept.</summary>
internal sealed record ApiKey
{
    public required ApiKeyId Id { get; init; }

    public required TenantId TenantId { get; init; }

    /// <summary>What budgets of a key go by: a rotation hands it on.</summary>
    public required KeyLineId Line { get; init; }

    public required ApiKeyAttributes Attributes { get; init; }

    /// <summary>The first 11 characters, by which people know it.</summary>
    public required string Prefix { get; init; }

    /// <summary>What was done to it; <see cref="StatusAt"/> also looks at the clock.</summary>
    public required ApiKeyStatus Status { get; init; }

    /// <summary>Deleted: the row stays for the ledger, nobody sees it as a key.</summary>
    public bool Hidden { get; init; }

    public DateTimeOffset? LastUsedAt { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; init; }

    public static ApiKey Make(TenantId tenant, ApiKeyAttributes attributes, string prefix, DateTimeOffset now)
    {
        var id = new ApiKeyId(Uuid7.At(now));
        return new()
        {
            Id = id,
            TenantId = tenant,
            Line = KeyLineId.Of(id),
            Attributes = attributes,
            Prefix = prefix,
            Status = ApiKeyStatus.Active,
            CreatedAt = now,
            UpdatedAt = now,
        };
    }

    public ApiKeyStatus StatusAt(DateTimeOffset now) =>
        Status == ApiKeyStatus.Active && Attributes.ExpiresAt <= now ? ApiKeyStatus.Expired : Status;

    /// <summary>An expired key that gets a later expiry works again.</summary>
    public ApiKey Edit(ApiKeyAttributes attributes, DateTimeOffset now)
    {
        var edited = Touch(now) with { Attributes = attributes, Status = ApiKeyStatus.Active };
        return edited with { Status = edited.StatusAt(now) };
    }

    public ApiKey Revoke(DateTimeOffset now) => Touch(now) with { Status = ApiKeyStatus.Revoked };

    /// <summary>The key that takes this one's place: another secret of the same line.</summary>
    public ApiKey MakeSuccessor(string prefix, DateTimeOffset now) => Make(TenantId, Attributes, prefix, now) with { Line = Line };

    /// <summary>Works until the overlap ends, or its own expiry if that comes first.</summary>
    public ApiKey RotateOut(TimeSpan overlap, DateTimeOffset now)
    {
        var end = now + overlap;
        return Touch(now) with
        {
            Status = ApiKeyStatus.Rotated,
            Attributes = Attributes with { ExpiresAt = Attributes.ExpiresAt < end ? Attributes.ExpiresAt : end },
        };
    }

    /// <summary>Every change moves the instant on, in whole milliseconds: it is the ETag.</summary>
    private ApiKey Touch(DateTimeOffset now) => this with
    {
        UpdatedAt = now.ToUnixTimeMilliseconds() > UpdatedAt.ToUnixTimeMilliseconds() ? now : UpdatedAt.AddMilliseconds(1),
    };
}

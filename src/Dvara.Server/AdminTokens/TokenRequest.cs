using Dvara.Domain;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.AdminTokens;

/// <summary>What a caller asks of a new token; everything is checked before anything is refused.</summary>
internal sealed record TokenRequest : AdminRequest
{
    private const int NameCharsMax = 128;

    /// <summary>1 to 128 characters, for people.</summary>
    public string? Name { get; init; }

    /// <summary>owner, admin, billing or viewer; instead of <see cref="Scopes"/>.</summary>
    public string? Role { get; init; }

    public string?[]? Scopes { get; init; }

    /// <summary>Narrows the token to one tenant; absent: as narrow as the token that makes it.</summary>
    public TenantId? TenantId { get; init; }

    /// <summary>In the future; absent: as long as the token that makes it.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>
    /// The token, or why not: 400 for what is malformed, then 403 for a scope that the maker lacks. Nobody can grant what they do not
    /// have: no scope, no tenant and no lifetime beyond the maker's own.
    /// </summary>
    /// <param name="maker">The token that makes it.</param>
    /// <param name="now">The time of the request.</param>
    /// <param name="tenantExists">Whether there is a tenant <see cref="TenantId"/>; without one it says nothing.</param>
    public (AdminToken? Token, ApiError? Error) ToToken(AdminToken maker, DateTimeOffset now, bool tenantExists = true)
    {
        var errors = new List<FieldError>();
        CheckName(errors);
        var scopes = ReadScopes(errors);
        var tenant = ReadTenant(maker, tenantExists, errors);
        var expiresAt = ReadExpiry(maker, now, errors);
        CheckOthers(errors, "an admin token", "name, role, scopes, tenantId, expiresAt", "id");
        if (Refusal(errors) is { } refusal)
        {
            return (null, refusal);
        }

        if (AdminScopes.All.FirstOrDefault(scope => scopes.Contains(scope) && !maker.Scopes.Contains(scope)) is { } missing)
        {
            return (null, ApiError.MissingScope(missing));
        }

        return (new()
        {
            Id = new AdminTokenId(Uuid7.At(now)),
            Name = Name!,
            Role = Role is null ? null : AdminRoles.Parse(Role),
            Scopes = scopes,
            TenantId = tenant,
            ExpiresAt = expiresAt,
            CreatedAt = now,
        }, null);
    }

    private void CheckName(List<FieldError> errors)
    {
        if (string.IsNullOrWhiteSpace(Name) || Name.Length > NameCharsMax || Name.Any(char.IsControl))
        {
            errors.Add(new("name", $"name is required: 1 to {NameCharsMax} characters, no control characters."));
        }
    }

    private IReadOnlySet<string> ReadScopes(List<FieldError> errors)
    {
        if (Role is null == Scopes is null)
        {
            errors.Add(new("role", "Give either role (owner, admin, billing, viewer) or scopes."));
            return new HashSet<string>();
        }

        if (Role is not null)
        {
            if (AdminRoles.Parse(Role) is { } role)
            {
                return role.Scopes();
            }

            errors.Add(new("role", "role must be one of owner, admin, billing, viewer."));
            return new HashSet<string>();
        }

        if (Scopes!.Length == 0 || Scopes.Any(scope => scope is null || !AdminScopes.All.Contains(scope)))
        {
            errors.Add(new("scopes", $"scopes must name at least one of {string.Join(", ", AdminScopes.All)}."));
        }

        return Scopes.OfType<string>().ToHashSet();
    }

    private TenantId? ReadTenant(AdminToken maker, bool tenantExists, List<FieldError> errors)
    {
        if (TenantId is null || (tenantExists && (maker.TenantId is null || TenantId == maker.TenantId)))
        {
            return TenantId ?? maker.TenantId;
        }

        // A foreign tenant is as unknown as one that does not exist.
        errors.Add(new("tenantId", "No such tenant."));
        return null;
    }

    private DateTimeOffset? ReadExpiry(AdminToken maker, DateTimeOffset now, List<FieldError> errors)
    {
        if (ExpiresAt <= now)
        {
            errors.Add(new("expiresAt", "expiresAt must be in the future."));
        }
        else if (ExpiresAt > maker.ExpiresAt)
        {
            errors.Add(new("expiresAt",
                $"expiresAt must not be after {Instants.Format(maker.ExpiresAt.Value)}, when the token that makes it expires."));
        }

        return ExpiresAt ?? maker.ExpiresAt;
    }
}

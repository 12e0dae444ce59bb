using Dvara.Domain;
using Dvara.Server.Hosting;

namespace Dvara.Server.ApiKeys;

/// <summary>A key as the admin API shows it.</summary>
internal sealed record ApiKeyAnswer(
    ApiKeyId Id,
    TenantId TenantId,
    string Name,
    string Prefix,
    string Status,
    IReadOnlyList<string> Scopes,
    IReadOnlyList<string> Models,
    IReadOnlyDictionary<string, string> Tags,
    DateTimeOffset? ExpiresAt,
    DateTimeOffset? LastUsedAt,
    DateTimeOffset CreatedAt)
{
    public static ApiKeyAnswer Of(ApiKey key, DateTimeOffset now)
    {
        var (name, scopes, models, tags, expiresAt) = key.Attributes;
        return new(
            key.Id, key.TenantId, name, key.Prefix, key.StatusAt(now).ContractName(), scopes, models, tags, expiresAt, key.LastUsedAt, key.CreatedAt);
    }

    /// <summary>With the key itself, for the one answer that shows it.</summary>
    public object With(string key) =>
        new { Id, TenantId, Name, key, Prefix, Status, Scopes, Models, Tags, ExpiresAt, LastUsedAt, CreatedAt };
}

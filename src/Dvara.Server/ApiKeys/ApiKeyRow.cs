using System.Text.Json;
using Dvara.Domain;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.ApiKeys;

/// <summary>A row of <c>api_keys</c>; lists and maps stand in it as JSON.</summary>
internal sealed class ApiKeyRow
{
    public ApiKeyId Id { get; init; }

    public TenantId TenantId { get; init; }

    public KeyLineId Line { get; init; }

    public string Name { get; init; } = "";

    public byte[] Hash { get; init; } = [];

    public string Prefix { get; init; } = "";

    public string Status { get; init; } = "";

    public bool Hidden { get; init; }

    public string Scopes { get; init; } = "";

    public string Models { get; init; } = "";

    public string Tags { get; init; } = "";

    public DateTimeOffset? ExpiresAt { get; init; }

    public DateTimeOffset? LastUsedAt { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset UpdatedAt { get; init; }

    /// <summary>The parameters of an insert or update; spelt as in the statements, since SQLite tells cases apart.</summary>
    public static object Parameters(ApiKey key, byte[] hash) => new
    {
        id = key.Id,
        tenantId = key.TenantId,
        line = key.Line,
        name = key.Attributes.Name,
        hash,
        prefix = key.Prefix,
        status = key.Status.ContractName(),
        hidden = key.Hidden,
        scopes = JsonSerializer.Serialize(key.Attributes.Scopes, AdminJson.Options),
        models = JsonSerializer.Serialize(key.Attributes.Models, AdminJson.Options),
        tags = JsonSerializer.Serialize(key.Attributes.Tags, AdminJson.Options),
        expiresAt = key.Attributes.ExpiresAt,
        createdAt = key.CreatedAt,
        updatedAt = key.UpdatedAt,
    };

    public ApiKey ToKey() => new()
    {
        Id = Id,
        TenantId = TenantId,
        Line = Line,
        Attributes = new(Name, Parse<string[]>(Scopes), Parse<string[]>(Models), Parse<Dictionary<string, string>>(Tags), ExpiresAt),
        Prefix = Prefix,
        Status = ParseStatus(Status),
        Hidden = Hidden,
        LastUsedAt = LastUsedAt,
        CreatedAt = CreatedAt,
        UpdatedAt = UpdatedAt,
    };

    /// <summary>Fails closed: a status that this version does not know lets nobody in.</summary>
    public static ApiKeyStatus ParseStatus(string text) =>
        ContractNames.Parse<ApiKeyStatus>(text) ?? ApiKeyStatus.Revoked;

    public static T Parse<T>(string json) => JsonSerializer.Deserialize<T>(json, AdminJson.Options)!;
}

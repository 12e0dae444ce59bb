using System.Text.Json;
using System.Text.Json.Nodes;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Tenants;

namespace Dvara.Server.ApiKeys;

/// <summary>What a caller wants a key to be, whole; everything is checked before anything is refused.</summary>
internal sealed record ApiKeyRequest : AdminRequest
{
    /// <summary>The member whose own member names are data, and stay as they are.</summary>
    public const string Verbatim = "tags";

    private const int NameCharsMax = 128;
    private const int ModelsMax = 100;
    private const int ModelCharsMax = 256;

    private static readonly string[] KnownScopes = ["completions:write", "embeddings:write", "models:read"];

    // Part of what reading answers, so that it can be sent back; never taken over.
    private static readonly string[] ReadOnly = ["id", "tenantId", "lastUsedAt", "createdAt"];

    /// <summary>1 to 128 characters, for people.</summary>
    public string? Name { get; init; }

    /// <summary>completions:write, embeddings:write, models:read; none: unrestricted.</summary>
    public string?[]? Scopes { get; init; }

    /// <summary>Models that the key may ask for: exact, or a prefix with a trailing *; none: all.</summary>
    public string?[]? Models { get; init; }

    /// <summary>Default tags of its requests, at most 20.</summary>
    public Dictionary<string, JsonElement>? Tags { get; init; }

    /// <summary>In the future; absent: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Can only be what it is: a key ends by <c>…/revoke</c>, not by an edit.</summary>
    public string? Status { get; init; }

    /// <summary>Import only: SHA-256 of the whole key, 64 hexadecimal digits.</summary>
    public string? Sha256 { get; init; }

    /// <summary>The first 11 characters of the key: said by an import, otherwise read-only.</summary>
    public string? Prefix { get; init; }

    /// <summary>The attributes of a new key, or the 400.</summary>
    public (ApiKeyAttributes? Attributes, ApiError? Error) ToNew(DateTimeOffset now)
    {
        var errors = new List<FieldError>();
        CheckNoHash(errors);
        return Conclude(Read(null, now, errors), errors);
    }

    /// <summary>The attributes and the hash of a key made elsewhere, or the 400.</summary>
    public (ApiKeyAttributes? Attributes, KeyHash Hash, ApiError? Error) ToImport(DateTimeOffset now)
    {
        var errors = new List<FieldError>();
        var attributes = Read(null, now, errors);
        if (!KeyHash.TryParse(Sha256, out var hash))
        {
            errors.Add(new("sha256", "sha256 is required: the SHA-256 of the whole key as 64 hexadecimal digits."));
        }

        if (!ApiKeyFormat.IsDisplayed(Prefix))
        {
            errors.Add(new("prefix", $"prefix is required: the first {ApiKeyFormat.DisplayedCharacters} characters of the key, such as gw_1a2b3c4d."));
        }

        var (read, error) = Conclude(attributes, errors);
        return (read, hash, error);
    }

    /// <summary>Applies a merge patch (RFC 7396) to a key: what it does not name stays, null removes. The attributes after it, or the 400.</summary>
    public static (ApiKeyAttributes? Attributes, ApiError? Error) Merge(ApiKey key, JsonObject patch, DateTimeOffset now)
    {
        var (name, scopes, models, tags, expiresAt) = key.Attributes;
        var whole = JsonSerializer.SerializeToNode(new { name, scopes, models, tags, expiresAt }, AdminJson.Options)!.AsObject();
        var request = AdminJson.Deserialize<ApiKeyRequest>(MergePatch.Apply(whole, patch));
        var errors = new List<FieldError>();
        request.CheckNoHash(errors);
        return request.Conclude(request.Read(key, now, errors), errors);
    }

    private (ApiKeyAttributes? Attributes, ApiError? Error) Conclude(ApiKeyAttributes attributes, List<FieldError> errors) =>
        Refusal(errors) is { } refusal ? (null, refusal) : (attributes, null);

    /// <param name="before">The key as it is; null: it is new.</param>
    /// <param name="now">The time of the change.</param>
    /// <param name="errors">Gets what is wrong; the attributes are then not to be used.</param>
    private ApiKeyAttributes Read(ApiKey? before, DateTimeOffset now, List<FieldError> errors)
    {
        CheckName(errors);
        CheckScopes(errors);
        CheckModels(errors);
        var tags = StringMap.Tags.Read(Tags, errors);
        if (ExpiresAt <= now && ExpiresAt != before?.Attributes.ExpiresAt)
        {
            errors.Add(new("expiresAt", "expiresAt must be in the future."));
        }

        var status = (before?.StatusAt(now) ?? ApiKeyStatus.Active).ContractName();
        if (Status is not null && Status != status)
        {
            errors.Add(new("status", $"status is {status} and cannot be given; to end a key, POST …/keys/<id>/revoke."));
        }

        CheckOthers(errors, "a key", "name, scopes, models, tags, expiresAt", ReadOnly);
        return new(
            Name ?? "",
            [.. (Scopes ?? []).OfType<string>().Distinct().Order(StringComparer.Ordinal)],
            [.. (Models ?? []).OfType<string>().Distinct()],
            tags,
            ExpiresAt);
    }

    private void CheckName(List<FieldError> errors)
    {
        if (string.IsNullOrWhiteSpace(Name) || Name.Length > NameCharsMax || Name.Any(char.IsControl))
        {
            errors.Add(new("name", $"name is required: 1 to {NameCharsMax} characters, no control characters."));
        }
        else if (ApiKeyFormat.IsWellFormed(Name))
        {
            // It would stand in lists, on statements and in the audit trail.
            errors.Add(new("name", "name looks like an API key; a key is never stored. If it is one in use, revoke it."));
        }
    }

    private void CheckScopes(List<FieldError> errors)
    {
        if (Scopes?.Any(scope => !KnownScopes.Contains(scope)) == true)
        {
            errors.Add(new("scopes", $"scopes may name {string.Join(", ", KnownScopes)}; none means unrestricted."));
        }
    }

    private void CheckModels(List<FieldError> errors)
    {
        if (Models is { Length: > ModelsMax })
        {
            errors.Add(new("models", $"models has {Models.Length} entries; at most {ModelsMax} are allowed."));
        }
        else if (Models?.Any(model => !IsPattern(model)) == true)
        {
            errors.Add(new("models",
                $"models must be named as clients write them, 1 to {ModelCharsMax} characters, with * only at the end; none means all."));
        }
    }

    private static bool IsPattern(string? model) =>
        model is { Length: >= 1 and <= ModelCharsMax }
        && !model.Any(c => char.IsControl(c) || char.IsWhiteSpace(c))
        && model.IndexOf('*', StringComparison.Ordinal) is var star
        && (star < 0 || star == model.Length - 1);

    private void CheckNoHash(List<FieldError> errors)
    {
        if (Sha256 is not null)
        {
            errors.Add(new("sha256", "sha256 is of imported keys; POST it to …/keys/import."));
        }
    }
}

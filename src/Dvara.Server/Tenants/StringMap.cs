using System.Text.Json;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Tenants;

/// <summary>What a map of strings to strings may hold: <c>metadata</c> and <c>tags</c>.</summary>
/// <param name="Field">As errors name it.</param>
/// <param name="EntriesMax">More are refused.</param>
/// <param name="ValueCharsMax">Of one value.</param>
/// <param name="Keys">Two keys that it calls equal are one.</param>
/// <param name="Problem">What else may be wrong with a key and its value; null: nothing.</param>
internal sealed record StringMap(
    string Field, int EntriesMax, int ValueCharsMax, StringComparer Keys, Func<string, string, string?> Problem)
{
    public const int KeyCharsMax = 64;

    public static readonly StringMap Metadata = new("metadata", 50, 512, StringComparer.Ordinal, TenantMetadata.Problem);

    /// <summary>The limits of a request's own tags, which these are defaults for.</summary>
    public static readonly StringMap Tags = new("tags", 20, 256, StringComparer.OrdinalIgnoreCase, (_, _) => null);

    /// <summary>The map; every entry that is wrong goes into <paramref name="errors"/> instead.</summary>
    public IReadOnlyDictionary<string, string> Read(IReadOnlyDictionary<string, JsonElement>? given, List<FieldError> errors)
    {
        var map = new Dictionary<string, string>(Keys);
        if (given?.Count > EntriesMax)
        {
            // Not each of them: a body has room for a hundred thousand.
            errors.Add(new(Field, $"{Field} has {given.Count} entries; at most {EntriesMax} are allowed."));
            return map;
        }

        foreach (var (key, value) in given ?? new Dictionary<string, JsonElement>())
        {
            if (ProblemOf(key, value, map) is { } problem)
            {
                var name = $"{Field}.{(key.Length <= KeyCharsMax ? key : key[..KeyCharsMax] + "…")}";
                errors.Add(new(name, $"{name} {problem}"));
            }
            else
            {
                map.Add(key, value.GetString()!);
            }
        }

        return map;
    }

    private string? ProblemOf(string key, JsonElement value, Dictionary<string, string> map)
    {
        if (key.Length is 0 or > KeyCharsMax || key.Any(char.IsControl))
        {
            return $"is no key: it must have 1 to {KeyCharsMax} characters, no control characters.";
        }

        if (value.ValueKind != JsonValueKind.String)
        {
            return "must be a string.";
        }

        var text = value.GetString()!;
        // A line feed may stand in a value. A NUL may not: PostgreSQL could not keep it.
        if (text.Length > ValueCharsMax || text.Contains('\0', StringComparison.Ordinal))
        {
            return $"must have at most {ValueCharsMax} characters, none of them NUL.";
        }

        return map.ContainsKey(key) ? "is given twice: its keys are compared without regard to case." : Problem(key, text);
    }
}

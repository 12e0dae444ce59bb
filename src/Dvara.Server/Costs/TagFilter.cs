namespace Dvara.Server.Costs;

/// <summary>One <c>tag=key:value</c>: keys match case-insensitively, values exactly.</summary>
/// <param name="Key">Lower case, as tag rollups keep it.</param>
internal sealed record TagFilter(string Key, string Value)
{
    /// <summary>How a tag key is compared everywhere in the ledger.</summary>
    public static string Fold(string key) => key.ToLowerInvariant();

    /// <summary>Reads <c>key:value</c>; the first colon divides, so a value may contain more of them.</summary>
    public static TagFilter? Parse(string text)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon < 1 ? null : new(Fold(text[..colon]), text[(colon + 1)..]);
    }

    public bool Matches(IReadOnlyDictionary<string, string> tags) => string.Equals(Find(tags, Key), Value, StringComparison.Ordinal);

    /// <summary>The value of the tag whose key folds to <paramref name="foldedKey"/>, or null.</summary>
    public static string? Find(IReadOnlyDictionary<string, string> tags, string foldedKey)
    {
        foreach (var (key, value) in tags)
        {
            if (string.Equals(Fold(key), foldedKey, StringComparison.Ordinal))
            {
                return value;
            }
        }

        return null;
    }
}

using Dvara.Providers;
using Dvara.Server.ApiKeys;
using Microsoft.Extensions.Primitives;

namespace Dvara.Server.Gateway;

/// <summary>Merges tags per key, the most specific source first: body, header, API key, tenant. Keys match case-insensitively.</summary>
internal static class TagCascade
{
    public const string Header = "X-Dvara-Tags";

    /// <param name="body">Tags of the body.</param>
    /// <param name="header">The header's values, if any.</param>
    /// <param name="caller">Carries the defaults of key and tenant.</param>
    /// <param name="tags">All of them; each key in the spelling of its most specific source.</param>
    /// <param name="problem">What is wrong with the header.</param>
    public static bool TryMerge(
        IReadOnlyDictionary<string, string> body, StringValues header, ApiKeyIdentity caller,
        out IReadOnlyDictionary<string, string> tags, out RequestProblem? problem)
    {
        problem = null;
        tags = body;
        IReadOnlyDictionary<string, string> fromHeader = RequestFacts.EmptyTags;
        if (header.Count > 0 && !TagHeader.TryParse(header.ToString(), out fromHeader!, out problem))
        {
            return false;
        }

        if (fromHeader.Count == 0 && caller.Tags.Count == 0 && caller.TenantTags.Count == 0)
        {
            return true;
        }

        var merged = new Dictionary<string, string>(body, StringComparer.OrdinalIgnoreCase);
        AddMissing(merged, fromHeader);
        AddMissing(merged, caller.Tags);
        AddMissing(merged, caller.TenantTags);
        tags = merged;
        return true;
    }

    private static void AddMissing(Dictionary<string, string> merged, IEnumerable<KeyValuePair<string, string>> tags)
    {
        foreach (var (key, value) in tags)
        {
            merged.TryAdd(key, value);
        }
    }
}

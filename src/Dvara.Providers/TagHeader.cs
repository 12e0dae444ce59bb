using System.Diagnostics.CodeAnalysis;

namespace Dvara.Providers;

/// <summary>Reads the header <c>X-Dvara-Tags: k=v,k2=v2</c>, under the limits of <c>metadata.tags</c>.</summary>
public static class TagHeader
{
    public const string Name = "X-Dvara-Tags";

    /// <summary>Tags match their keys without regard to case. False: <paramref name="problem"/> names the tag.</summary>
    public static bool TryParse(
        string header,
        [NotNullWhen(true)] out IReadOnlyDictionary<string, string>? tags,
        [NotNullWhen(false)] out RequestProblem? problem) =>
        throw new NotImplementedException();
}

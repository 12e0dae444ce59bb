using System.Diagnostics.CodeAnalysis;
using Dvara.Providers.Requests;

namespace Dvara.Providers;

/// <summary>Reads the header <c>X-Dvara-Tags: k=v,k2=v2</c>, under the limits of <c>metadata.tags</c>.</summary>
/// <remarks>Space around keys and values is dropped; a value may hold <c>=</c> but no comma. An empty header has no tags.</remarks>
public static class TagHeader
{
    public const string Name = "X-Dvara-Tags";

    /// <summary>Tags match their keys without regard to case. False: <paramref name="problem"/> names the tag.</summary>
    public static bool TryParse(
        string header,
        [NotNullWhen(true)] out IReadOnlyDictionary<string, string>? tags,
        [NotNullWhen(false)] out RequestProblem? problem)
    {
        var collector = new TagCollector(Name);
        problem = null;
        tags = null;
        if (!string.IsNullOrWhiteSpace(header))
        {
            var rest = header.AsSpan();
            foreach (var piece in rest.Split(','))
            {
                problem = Add(ref collector, rest[piece]);
                if (problem is not null)
                {
                    return false;
                }
            }
        }

        tags = collector.Tags;
        return true;
    }

    private static RequestProblem? Add(ref TagCollector collector, ReadOnlySpan<char> piece)
    {
        var equals = piece.IndexOf('=');
        return equals < 0
            ? collector.Problem(piece.Trim().ToString(), "It must be written key=value; commas separate tags.")
            : collector.Add(piece[..equals].Trim().ToString(), piece[(equals + 1)..].Trim().ToString());
    }
}

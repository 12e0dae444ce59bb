using System.Text.Json;

namespace Dvara.Server.Hosting.AdminApi;

/// <summary>A misspelt field must not look as if it had been taken over: <c>overlapSecond</c> would rotate a key with the default.</summary>
internal static class UnknownFields
{
    private const int NameCharsMax = 64;
    private const int NamedMax = 10;

    /// <summary>Adds an error for each field that a body has and the resource does not.</summary>
    /// <param name="others">What the body has beyond the request's own members.</param>
    /// <param name="resource">For example <c>a key</c>.</param>
    /// <param name="known">The fields that may be written, for people.</param>
    /// <param name="errors">Receives at most ten.</param>
    /// <param name="ignored">Fields that an answer has and a caller may send back.</param>
    public static void Check(
        Dictionary<string, JsonElement>? others, string resource, string known, List<FieldError> errors, params ReadOnlySpan<string> ignored)
    {
        var named = 0;
        foreach (var name in others?.Keys ?? Enumerable.Empty<string>())
        {
            if (ignored.Contains(name) || named++ == NamedMax)
            {
                continue;
            }

            var shown = name.Length <= NameCharsMax ? name : name[..NameCharsMax] + "…";
            errors.Add(new(shown, $"{shown} is not a field of {resource}; it has {known}."));
        }
    }
}

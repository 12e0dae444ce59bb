using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dvara.Server.Hosting.AdminApi;

/// <summary>
/// The body of an admin call. What does not fit is kept beside what does, so that one answer names every bad field and not the first.
/// </summary>
internal abstract record AdminRequest
{
    private const int NameCharsMax = 64;
    private const int NamedMax = 10;

    /// <summary>Members that are no field of the request.</summary>
    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Others { get; init; }

    /// <summary>Fields whose values were of another type; they read as absent.</summary>
    [JsonIgnore]
    public IReadOnlyList<FieldError> Misfits { get; init; } = [];

    /// <summary>
    /// Adds an error for each member that is no field: a misspelt one must not look as if it had been taken over, as
    /// <c>overlapSecond</c> would rotate a key with the default.
    /// </summary>
    /// <param name="errors">Receives at most ten.</param>
    /// <param name="resource">For example <c>a key</c>.</param>
    /// <param name="known">The fields that may be written, for people.</param>
    /// <param name="ignored">Fields that an answer has and a caller may send back.</param>
    protected void CheckOthers(List<FieldError> errors, string resource, string known, params ReadOnlySpan<string> ignored)
    {
        var named = 0;
        foreach (var name in Others?.Keys ?? Enumerable.Empty<string>())
        {
            if (ignored.Contains(name) || named++ == NamedMax)
            {
                continue;
            }

            var shown = name.Length <= NameCharsMax ? name : name[..NameCharsMax] + "…";
            errors.Add(new(shown, $"{shown} is not a field of {resource}; it has {known}."));
        }
    }

    /// <summary>The 400 that names every bad field, or null. What a misfit left absent is not called missing.</summary>
    protected ApiError? Refusal(IReadOnlyList<FieldError> errors)
    {
        List<FieldError> all = [.. Misfits, .. errors.Where(error => Misfits.All(misfit => misfit.Field != error.Field))];
        return all.Count == 0 ? null : ApiError.Validation(all);
    }
}

using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.ApiKeys;

/// <summary>How a key is rotated.</summary>
internal sealed record RotationRequest : AdminRequest
{
    private const int DefaultSeconds = 86_400;
    private const int SecondsMax = 30 * 86_400;

    /// <summary>How long the old key still works, 0 to 2,592,000 seconds (30 days); absent: one day.</summary>
    public long? OverlapSeconds { get; init; }

    /// <summary>The overlap, or the 400.</summary>
    public (TimeSpan Overlap, ApiError? Error) ToOverlap()
    {
        var errors = new List<FieldError>();
        if (OverlapSeconds is < 0 or > SecondsMax)
        {
            errors.Add(new("overlapSeconds", $"overlapSeconds must be from 0 to {SecondsMax}."));
        }

        CheckOthers(errors, "a rotation", "overlapSeconds");
        return Refusal(errors) is { } refusal ? (default, refusal) : (TimeSpan.FromSeconds(OverlapSeconds ?? DefaultSeconds), null);
    }
}

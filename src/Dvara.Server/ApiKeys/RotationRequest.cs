using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.ApiKeys;

/// <summary>How a key is rotated.</summary>
internal sealed record RotationRequest
{
    private const int DefaultSeconds = 86_400;
    private const int SecondsMax = 30 * 86_400;

    /// <summary>How long the old key still works, 0 to 2,592,000 seconds (30 days); absent: one day.</summary>
    public long? OverlapSeconds { get; init; }

    /// <summary>The overlap, or the 400.</summary>
    public (TimeSpan Overlap, ApiError? Error) ToOverlap() => OverlapSeconds is < 0 or > SecondsMax
        ? (default, ApiError.Validation("overlapSeconds", $"overlapSeconds must be from 0 to {SecondsMax}."))
        : (TimeSpan.FromSeconds(OverlapSeconds ?? DefaultSeconds), null);
}

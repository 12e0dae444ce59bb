using Dvara.Domain;

namespace Dvara.Providers;

/// <summary>What an answer, whole or streamed, tells about itself.</summary>
public sealed record AnswerFacts
{
    /// <summary>Reported usage, normalised into disjoint buckets; null where the provider sent none that can be believed.</summary>
    public TokenUsage? Usage { get; init; }

    /// <summary>True when usage was sent and refused (negative, fractional, absurd): estimated instead, and alarmed.</summary>
    public bool UsageRefused { get; init; }

    /// <summary>True when parts exceeded their whole and were clamped; alarmed.</summary>
    public bool UsageClamped { get; init; }

    /// <summary>True when a whole answer is not JSON of the expected shape: never passed on as a success.</summary>
    public bool Malformed { get; init; }

    /// <summary>True when the answer carries an error object, whatever its status said.</summary>
    public bool HasError { get; init; }

    public string? Model { get; init; }

    /// <summary>The provider's own id of the answer.</summary>
    public string? Id { get; init; }

    /// <summary>Output tokens by our own count of the delivered text; computed only when asked (<see cref="Usage"/> is null).</summary>
    public long EstimatedOutputTokens { get; init; }
}

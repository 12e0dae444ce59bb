namespace Dvara.Domain;

/// <summary>Where the counts come from: the provider's answer, or our own tokenizer.</summary>
public enum UsageSource
{
    Reported,
    Estimated,
}

/// <summary>
/// Tokens of one attempt in disjoint buckets: no token is counted in two of them. A bucket that the provider did not report is
/// null, which is not zero. The API shows whole counts (<see cref="InputTokens"/>, <see cref="OutputTokens"/>) instead.
/// </summary>
public sealed record TokenUsage
{
    /// <summary>Input tokens neither read from nor written to the provider's cache.</summary>
    public long? UncachedInput { get; init; }

    /// <summary>Input tokens read from the provider's cache.</summary>
    public long? CacheRead { get; init; }

    /// <summary>Input tokens written to the provider's cache.</summary>
    public long? CacheWrite { get; init; }

    /// <summary>Output tokens other than reasoning.</summary>
    public long? Output { get; init; }

    /// <summary>Hidden output tokens that the model spent on reasoning.</summary>
    public long? Reasoning { get; init; }

    public UsageSource Source { get; init; }

    /// <summary>The whole input, cached parts included.</summary>
    public long InputTokens => checked((UncachedInput ?? 0) + (CacheRead ?? 0) + (CacheWrite ?? 0));

    /// <summary>The whole output, reasoning included.</summary>
    public long OutputTokens => checked((Output ?? 0) + (Reasoning ?? 0));
}

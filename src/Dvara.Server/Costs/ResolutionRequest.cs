using Dvara.Domain;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Costs;

/// <summary>What an admin knows of an attempt whose outcome was unknown: that nothing was billed, or the provider's figures.</summary>
internal sealed record ResolutionRequest : AdminRequest
{
    /// <summary>As for usage that a provider reports itself: more is no count of tokens.</summary>
    private const long TokensMax = 1_000_000_000;

    private const int NoteCharsMax = 500;

    /// <summary>False: the provider did nothing billable. Absent: it did, and the figures say what.</summary>
    public bool? Billed { get; init; }

    /// <summary>The whole input; the next two are parts of it.</summary>
    public long? InputTokens { get; init; }

    public long? CachedInputTokens { get; init; }

    public long? CacheWriteTokens { get; init; }

    /// <summary>The whole output; the next one is a part of it.</summary>
    public long? OutputTokens { get; init; }

    public long? ReasoningTokens { get; init; }

    /// <summary>For the audit trail.</summary>
    public string? Note { get; init; }

    private IEnumerable<(string Field, long? Count)> Counts =>
    [
        ("inputTokens", InputTokens), ("cachedInputTokens", CachedInputTokens), ("cacheWriteTokens", CacheWriteTokens),
        ("outputTokens", OutputTokens), ("reasoningTokens", ReasoningTokens),
    ];

    /// <returns>The usage (null: nothing was billed), or the 400 that names every bad field.</returns>
    public (TokenUsage? Usage, ApiError? Error) Read()
    {
        var errors = new List<FieldError>();
        if (Billed == false)
        {
            errors.AddRange(Counts.Where(given => given.Count is not null).Select(given =>
                new FieldError(given.Field, $"{given.Field} does not go with billed false: what was not billed has no tokens.")));
        }
        else
        {
            CheckCounts(errors);
        }

        if (Note?.Length > NoteCharsMax)
        {
            errors.Add(new("note", $"note has at most {NoteCharsMax} characters."));
        }

        CheckOthers(errors, "a resolution", "billed, inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens, note");
        return Refusal(errors) is { } refusal ? (null, refusal) : (Billed == false ? null : Usage(), null);
    }

    private void CheckCounts(List<FieldError> errors)
    {
        if (InputTokens is null || OutputTokens is null)
        {
            const string Remedy = "give inputTokens and outputTokens as the provider bills them, or billed false.";
            errors.AddRange(Counts.Where(given => given is { Field: "inputTokens" or "outputTokens", Count: null }).Select(given =>
                new FieldError(given.Field, $"{given.Field} is required: {Remedy}")));
        }

        errors.AddRange(Counts.Where(given => given.Count is < 0 or > TokensMax).Select(given =>
            new FieldError(given.Field, $"{given.Field} must be a whole number from 0 to {TokensMax}.")));
        if (errors.Count > 0)
        {
            return;
        }

        if ((CachedInputTokens ?? 0) + (CacheWriteTokens ?? 0) > InputTokens)
        {
            errors.Add(new("inputTokens", "inputTokens is the whole input: cachedInputTokens and cacheWriteTokens are parts of it and must not exceed it."));
        }

        if (ReasoningTokens > OutputTokens)
        {
            errors.Add(new("outputTokens", "outputTokens is the whole output: reasoningTokens is a part of it and must not exceed it."));
        }
    }

    private TokenUsage Usage() => new()
    {
        UncachedInput = InputTokens - (CachedInputTokens ?? 0) - (CacheWriteTokens ?? 0),
        CacheRead = CachedInputTokens,
        CacheWrite = CacheWriteTokens,
        Output = OutputTokens - (ReasoningTokens ?? 0),
        Reasoning = ReasoningTokens,
        Source = UsageSource.Reported,
    };
}

namespace Dvara.Providers;

/// <summary>What the gateway needs to know of a JSON request, read in one forward pass over its bytes.</summary>
public sealed record RequestFacts
{
    /// <summary>As the client wrote it, provider prefix included.</summary>
    public required string Model { get; init; }

    public bool Stream { get; init; }

    /// <summary>True when the client itself asked for the usage chunk of a stream.</summary>
    public bool WantsUsageChunk { get; init; }

    /// <summary>The client's own output limit (the larger where it gave two); null: none.</summary>
    public long? OutputLimit { get; init; }

    /// <summary>True when the client set its limit as <c>max_tokens</c>, which every host knows, and not as <c>max_completion_tokens</c> alone.</summary>
    public bool HasMaxTokens { get; init; }

    /// <summary>
    /// Answers that the provider will write: <c>n</c> or <c>best_of</c>, whichever is larger, 1 where absent, times the prompts of a
    /// completion. Multiplies the output limit.
    /// </summary>
    public int Choices { get; init; } = 1;

    /// <summary><c>metadata.tags</c>; validated.</summary>
    public IReadOnlyDictionary<string, string> Tags { get; init; } = EmptyTags;

    /// <summary><c>user</c>.</summary>
    public string? EndUser { get; init; }

    /// <summary><c>metadata.mock</c>; only the mock provider reads it.</summary>
    public MockScript? Mock { get; init; }

    /// <summary>
    /// UTF-8 bytes of every text that becomes input, with an allowance for the frame of each message: an upper bound of byte-level BPE
    /// tokens. Media are not in it.
    /// </summary>
    public long InputTextBytes { get; init; }

    /// <summary>
    /// UTF-8 bytes of the members that are not known here and may be text. Hosts take more members than OpenAI does, and some become input: they
    /// are in what the call can cost at most, and not in what it is estimated to.
    /// </summary>
    public long OtherBytes { get; init; }

    /// <summary>Images, sounds and files among the input.</summary>
    public int MediaParts { get; init; }

    /// <summary>
    /// Bytes of <c>prediction</c>. What of it the answer does not use is billed as output, beyond any output limit
    /// (https://platform.openai.com/docs/guides/predicted-outputs).
    /// </summary>
    public int PredictionBytes { get; init; }

    /// <summary>Where the body must change before it goes upstream.</summary>
    public required BodyPlan Plan { get; init; }

    public static readonly IReadOnlyDictionary<string, string> EmptyTags = new Dictionary<string, string>(0);
}

/// <summary>What <c>metadata.mock</c> scripts; absent members keep the mock's own behaviour.</summary>
public sealed record MockScript
{
    public long? PromptTokens { get; init; }

    public long? CompletionTokens { get; init; }

    public long? CachedTokens { get; init; }

    public long? ReasoningTokens { get; init; }

    public int LatencyMs { get; init; }

    public int Status { get; init; } = 200;
}

/// <summary>A request that may not go on: always a 4xx, never a charge.</summary>
/// <param name="Status">400 or 413.</param>
/// <param name="Code">The contract's code: <c>invalid_json</c>, <c>validation_error</c>, …</param>
/// <param name="Param">The field, where one is to blame.</param>
/// <param name="Message">Names the field, the value and the remedy.</param>
public sealed record RequestProblem(int Status, string Code, string? Param, string Message);

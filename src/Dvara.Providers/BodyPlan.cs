namespace Dvara.Providers;

/// <summary>
/// The byte ranges of a body that a rewrite may touch. Everything outside them goes upstream byte for byte as it came.
/// </summary>
/// <remarks>Offsets count bytes from the start of the body. Ranges of removable members include the comma that goes with them.</remarks>
public sealed record BodyPlan
{
    /// <summary>The value of <c>model</c>, quotes included.</summary>
    public required Range Model { get; init; }

    /// <summary>Members to cut: <c>metadata.tags</c> and <c>metadata.mock</c>, or the whole <c>metadata</c> where nothing else is in it.</summary>
    public IReadOnlyList<Range> Cuts { get; init; } = [];

    /// <summary>The value of <c>stream_options</c> where the client sent one.</summary>
    public Range? StreamOptions { get; init; }

    /// <summary>The value of <c>stream_options.include_usage</c> where the client sent one.</summary>
    public Range? IncludeUsage { get; init; }

    /// <summary>The value of <c>max_tokens</c> where the client sent one, null included.</summary>
    public Range? MaxTokens { get; init; }

    /// <summary>The value of <c>max_completion_tokens</c> where the client sent one, null included.</summary>
    public Range? MaxCompletionTokens { get; init; }

    /// <summary>Where a new first member may be inserted: right behind the opening brace.</summary>
    public required int FirstMember { get; init; }
}

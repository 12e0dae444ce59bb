namespace Dvara.Providers;

/// <summary>The most tokens that one call can be billed for, which is what a hold sets money aside for. Both sides are whole counts.</summary>
/// <param name="InputTokens">Of the request's text; media are bounded by what the model bills per part.</param>
/// <param name="OutputTokens">Of all answers together; null: the request itself sets no limit.</param>
public readonly record struct RequestBound(long InputTokens, long? OutputTokens)
{
    /// <summary>
    /// The most that one image, sound or file is taken to be billed for: OpenAI's dearest image, of gpt-4o-mini at high detail, is
    /// 2,833 + 8 x 5,667 tokens (https://platform.openai.com/docs/guides/images-vision, calculating costs).
    /// </summary>
    public const long MediaTokens = 50_000;

    /// <summary>A token of byte-level BPE is at least one byte long.</summary>
    public static RequestBound Of(RequestFacts facts) =>
        new(facts.InputTextBytes + facts.OtherBytes + (facts.MediaParts * MediaTokens), facts.OutputLimit * facts.Choices);
}

using System.Globalization;
using System.IO.Hashing;

namespace Dvara.Providers.Mock;

/// <summary>One call of the mock and all that its answer will say, decided before a byte is written.</summary>
internal sealed record MockCall
{
    private static readonly string[] Sentence =
        "This is the mock provider. It answers every request with the same words, so that a test can count on them.".Split(' ');

    public required Endpoint Endpoint { get; init; }

    public required string Id { get; init; }

    public required long CreatedUnixSeconds { get; init; }

    public required string Model { get; init; }

    /// <summary>What each choice says, word by word; every word but the first brings its space.</summary>
    public required IReadOnlyList<string> Words { get; init; }

    /// <summary>True when the output limit cut the words short.</summary>
    public bool Cut => Words.Count < Sentence.Length;

    public required int Choices { get; init; }

    public required bool UsageChunk { get; init; }

    public required long PromptTokens { get; init; }

    public required long CompletionTokens { get; init; }

    public required long CachedTokens { get; init; }

    public required long ReasoningTokens { get; init; }

    /// <summary>The same body gives the same answer, but for the time.</summary>
    public static MockCall Of(Endpoint endpoint, byte[] body, RequestFacts facts, MockScript script, DateTimeOffset now)
    {
        var words = WordsWithin(facts.Model, facts.OutputLimit ?? long.MaxValue);
        var reasoning = script.ReasoningTokens ?? 0;
        return new MockCall
        {
            Endpoint = endpoint,
            Id = "mock-" + XxHash3.HashToUInt64(body).ToString("x16", CultureInfo.InvariantCulture),
            CreatedUnixSeconds = now.ToUnixTimeSeconds(),
            Model = facts.Model,
            Words = words,
            Choices = facts.Choices,
            UsageChunk = facts.WantsUsageChunk,
            PromptTokens = script.PromptTokens ?? TokenCounter.CountInput(facts.Model, endpoint, body),
            CompletionTokens = script.CompletionTokens ?? (reasoning + (facts.Choices * Tokens(facts.Model, words, words.Count))),
            CachedTokens = script.CachedTokens ?? 0,
            ReasoningTokens = reasoning,
        };
    }

    private static List<string> WordsWithin(string model, long limit)
    {
        var words = Sentence.Select((word, index) => index == 0 ? word : " " + word).ToList();
        var count = words.Count;
        while (count > 0 && Tokens(model, words, count) > limit)
        {
            count--;
        }

        return words[..count];
    }

    private static long Tokens(string model, IReadOnlyList<string> words, int count) =>
        TokenCounter.CountText(model, System.Text.Encoding.UTF8.GetBytes(string.Concat(words.Take(count))));
}

using Microsoft.ML.Tokenizers;

namespace Dvara.Providers.Tokens;

/// <summary>The tokenizer of a model. Each is loaded once, by whoever asks first; counting is thread-safe.</summary>
internal static class Vocabulary
{
    private static readonly Lazy<TiktokenTokenizer> O200k = new(() => TiktokenTokenizer.CreateForEncoding("o200k_base"));
    private static readonly Lazy<TiktokenTokenizer> Cl100k = new(() => TiktokenTokenizer.CreateForEncoding("cl100k_base"));

    // The generation before gpt-4o, and the embeddings.
    private static readonly string[] Cl100kNames = ["gpt-4", "gpt-3.5-turbo", "gpt-35-turbo", "davinci-002", "babbage-002"];
    private static readonly string[] Cl100kPrefixes = ["gpt-4-", "gpt-3.5-", "gpt-35-", "text-embedding-"];

    public static Tokenizer ForModel(string model)
    {
        var name = model[(model.LastIndexOf('/') + 1)..];
        var older = Array.IndexOf(Cl100kNames, name) >= 0
            || Array.Exists(Cl100kPrefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal));
        return (older ? Cl100k : O200k).Value;
    }
}

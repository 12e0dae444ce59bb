using System.Collections.Frozen;

namespace Dvara.Server.Routing;

/// <summary>A public provider that needs no more than a key. The names are those of the contract and of the shipped price file.</summary>
/// <param name="Id">As written in <c>provider/model</c>.</param>
/// <param name="Variable">Prefix of <c>…_API_KEY</c> and <c>…_BASE_URL</c>, as the provider's own SDK spells it.</param>
/// <param name="BaseUrl">The public endpoint; a path such as <c>chat/completions</c> is appended.</param>
/// <param name="Format">What it speaks there.</param>
internal sealed record KnownProvider(string Id, string Variable, string BaseUrl, WireFormat Format = WireFormat.OpenAi)
{
    /// <summary>Endpoints as their documentation gives them for OpenAI-compatible clients.</summary>
    public static readonly FrozenDictionary<string, KnownProvider> All = new KnownProvider[]
    {
        new("openai", "OPENAI", "https://api.openai.com/v1"),
        new("anthropic", "ANTHROPIC", "https://api.anthropic.com", WireFormat.Anthropic),
        new("gemini", "GEMINI", "https://generativelanguage.googleapis.com", WireFormat.Gemini),
        new("mistral", "MISTRAL", "https://api.mistral.ai/v1"),
        new("deepseek", "DEEPSEEK", "https://api.deepseek.com/v1"),
        new("xai", "XAI", "https://api.x.ai/v1"),
        new("groq", "GROQ", "https://api.groq.com/openai/v1"),
        new("cohere", "COHERE", "https://api.cohere.ai/compatibility/v1"),
        new("together", "TOGETHER", "https://api.together.xyz/v1"),
        new("fireworks", "FIREWORKS", "https://api.fireworks.ai/inference/v1"),
        new("openrouter", "OPENROUTER", "https://openrouter.ai/api/v1"),
        new("cerebras", "CEREBRAS", "https://api.cerebras.ai/v1"),
        new("perplexity", "PERPLEXITY", "https://api.perplexity.ai"),
    }.ToFrozenDictionary(p => p.Id, StringComparer.Ordinal);
}

namespace Dvara.Providers;

/// <summary>The ids of the providers that the gateway knows by name, and the models that each claims.</summary>
public static class ProviderNames
{
    public const string OpenAi = "openai";
    public const string Anthropic = "anthropic";
    public const string Gemini = "gemini";
    public const string Mistral = "mistral";
    public const string DeepSeek = "deepseek";
    public const string Xai = "xai";
    public const string Groq = "groq";
    public const string Cohere = "cohere";
    public const string Mock = "mock";

    // Groq and the clouds serve other makers' models: theirs are reached by an explicit prefix or a route only.
    private static readonly (string Prefix, string Provider)[] Claims =
    [
        ("gpt-", OpenAi), ("chatgpt-", OpenAi), ("text-embedding-", OpenAi), ("codex-", OpenAi),
        ("davinci-", OpenAi), ("babbage-", OpenAi), ("ft:gpt-", OpenAi), ("ft:davinci-", OpenAi), ("ft:babbage-", OpenAi),
        ("claude", Anthropic),
        ("gemini", Gemini),
        ("mistral", Mistral), ("ministral", Mistral), ("magistral", Mistral), ("codestral", Mistral), ("devstral", Mistral),
        ("pixtral", Mistral), ("voxtral", Mistral), ("open-mistral", Mistral), ("open-mixtral", Mistral),
        ("deepseek", DeepSeek),
        ("grok", Xai),
        ("command", Cohere), ("embed-", Cohere),
    ];

    /// <summary>The provider that claims a model by its prefix; null: nobody does.</summary>
    public static string? ForModel(string model)
    {
        foreach (var (prefix, provider) in Claims)
        {
            if (model.StartsWith(prefix, StringComparison.Ordinal))
            {
                return provider;
            }
        }

        return IsReasoningSeries(model) ? OpenAi : null;
    }

    /// <summary>
    /// True of a provider that serves models of its own only: none of its names begins with its id and a slash. Of a host of other makers'
    /// models one may (<c>groq/compound</c>, <c>openrouter/auto</c>), and what a provider by configuration serves nobody here knows.
    /// </summary>
    public static bool NamesAreBare(string provider) => provider == Mock || Array.Exists(Claims, claim => claim.Provider == provider);

    /// <summary><c>o1</c>, <c>o3-mini</c>, <c>o4-mini-2026-…</c>; not <c>o1x</c> and not <c>olmo</c>.</summary>
    private static bool IsReasoningSeries(string model) =>
        model.Length >= 2 && model[0] == 'o' && char.IsAsciiDigit(model[1]) && (model.Length == 2 || model[2] == '-');
}

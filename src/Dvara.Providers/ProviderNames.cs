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

    /// <summary>The provider that claims a model by its prefix; null: nobody does.</summary>
    public static string? ForModel(string model) => throw new NotImplementedException();
}

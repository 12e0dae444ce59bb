namespace Dvara.Providers.OpenAI;

/// <summary>What must be known of a model by its name.</summary>
public static class OpenAiModels
{
    private static readonly string[] _reasoning = ["o1", "o3", "o4", "gpt-5", "gpt-6", "deepseek-reasoner", "grok-4", "magistral"];

    /// <summary>
    /// True for models that spend output tokens nobody sees: what was delivered says little about what is billed, so an answer whose
    /// client left is read to its usage. An unknown model counts as one that shows everything.
    /// </summary>
    public static bool HideReasoning(string model)
    {
        foreach (var prefix in _reasoning)
        {
            if (model.StartsWith(prefix, StringComparison.Ordinal))
            {
                return true;
            }
        }

        return false;
    }
}

using Dvara.Providers;
using Xunit;

namespace Dvara.UnitTests.Providers;

public sealed class ProviderNamesTests
{
    private static readonly HashSet<string> Known = ["openai", "mock", "my-host"];

    [Theory]
    [InlineData("gpt-4o", "openai")]
    [InlineData("gpt-6.2-sol", "openai")]
    [InlineData("chatgpt-4o-latest", "openai")]
    [InlineData("o1", "openai")]
    [InlineData("o3-mini", "openai")]
    [InlineData("o4-mini-deep-research", "openai")]
    [InlineData("text-embedding-3-small", "openai")]
    [InlineData("davinci-002", "openai")]
    [InlineData("ft:gpt-4o-mini-2024-07-18:acme::abc", "openai")]
    [InlineData("claude-sonnet-4-5", "anthropic")]
    [InlineData("gemini-2.5-flash", "gemini")]
    [InlineData("mistral-large-2512", "mistral")]
    [InlineData("codestral-2508", "mistral")]
    [InlineData("deepseek-chat", "deepseek")]
    [InlineData("grok-4.3", "xai")]
    [InlineData("command-r-plus", "cohere")]
    [InlineData("embed-v4.0", "cohere")]
    [InlineData("olmo", null)]
    [InlineData("o1x", null)]
    [InlineData("o", null)]
    [InlineData("omni-1", null)]
    [InlineData("llama-3.3-70b-versatile", null)]
    [InlineData("GPT-4o", null)]
    [InlineData("my-gpt-4o", null)]
    [InlineData("gpt", null)]
    [InlineData("ft:llama", null)]
    [InlineData("", null)]
    public void ForModel_APrefix_NamesItsMaker(string model, string? provider) => Assert.Equal(provider, ProviderNames.ForModel(model));

    [Theory]
    [InlineData("openai/gpt-4o", "openai", "gpt-4o")]
    [InlineData("my-host/meta/llama", "my-host", "meta/llama")]
    [InlineData("mock/openai/gpt-4o", "mock", "openai/gpt-4o")]
    [InlineData("meta-llama/llama-4", null, "meta-llama/llama-4")]
    [InlineData("gpt-4o", null, "gpt-4o")]
    [InlineData("openai/", null, "openai/")]
    [InlineData("/gpt-4o", null, "/gpt-4o")]
    [InlineData("OpenAI/gpt-4o", null, "OpenAI/gpt-4o")]
    [InlineData("", null, "")]
    public void Parse_AName_IsSplitOnlyAtAKnownProvider(string name, string? provider, string model) =>
        Assert.Equal(new ProviderModel(provider, model), ProviderModel.Parse(name, Known));
}

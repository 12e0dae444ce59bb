namespace Dvara.Server.Routing;

/// <summary>What a provider speaks; decides on which of our paths it is eligible.</summary>
internal enum WireFormat
{
    OpenAi,
    Anthropic,
    Gemini,
}

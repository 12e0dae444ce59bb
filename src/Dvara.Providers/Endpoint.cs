namespace Dvara.Providers;

/// <summary>A data-plane path that reaches a provider. Anything else under /v1 is never forwarded.</summary>
public enum Endpoint
{
    /// <summary>POST /v1/chat/completions</summary>
    ChatCompletions,

    /// <summary>POST /v1/completions</summary>
    Completions,

    /// <summary>POST /v1/embeddings</summary>
    Embeddings,
}

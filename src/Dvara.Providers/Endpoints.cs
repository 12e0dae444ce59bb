namespace Dvara.Providers;

/// <summary>The paths of the endpoints.</summary>
public static class Endpoints
{
    /// <summary>The contract's path, for example <c>/v1/chat/completions</c>.</summary>
    public static string Path(this Endpoint endpoint) => endpoint switch
    {
        Endpoint.ChatCompletions => "/v1/chat/completions",
        Endpoint.Completions => "/v1/completions",
        Endpoint.Embeddings => "/v1/embeddings",
        _ => throw new ArgumentOutOfRangeException(nameof(endpoint)),
    };

    /// <summary>The path below a provider's base URL, without a leading slash: <c>chat/completions</c>.</summary>
    public static string UpstreamPath(this Endpoint endpoint) => endpoint.Path()["/v1/".Length..];
}

using System.Collections.Frozen;
using System.Net.Http.Headers;

namespace Dvara.Server.Gateway;

/// <summary>Which headers cross. Towards the provider: all but those that name the client; towards the client: only those an SDK reads.</summary>
internal static class HeaderRules
{
    private const int ValueMax = 1024;

    private static readonly string[] _notUpstream =
    [
        "Authorization", "x-api-key", "x-goog-api-key", "api-key", "Cookie", "Host", "Accept-Encoding", "OpenAI-Organization", "OpenAI-Project",
        "X-HTTP-Method-Override", "X-Dvara-Tags", "X-Trace-ID", "traceparent", "tracestate", "baggage", "Forwarded", "X-Forwarded-For",
        "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Real-IP", "Via", "CDN-Loop", "Origin", "Referer", "Expect",
        "Proxy-Authorization", "x-request-id",
    ];

    private static readonly FrozenSet<string> _toClient = new[]
    {
        "Retry-After", "retry-after-ms", "x-should-retry", "openai-processing-ms", "openai-version", "openai-model",
        "x-ratelimit-limit-requests", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens", "Cache-Control",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    private static readonly string[] _retryAdvice = ["Retry-After", "retry-after-ms", "x-should-retry"];

    /// <param name="headers">As the client sent them.</param>
    /// <param name="key">The client's key, which some put into further headers: no header that has it crosses.</param>
    public static void CleanRequest(HttpRequestHeaders headers, string key)
    {
        foreach (var name in _notUpstream)
        {
            headers.Remove(name);
        }

        List<string>? telling = null;
        foreach (var (name, values) in headers.NonValidated)
        {
            if (values.ToString().Contains(key, StringComparison.Ordinal))
            {
                (telling ??= []).Add(name);
            }
        }

        telling?.ForEach(name => headers.Remove(name));
    }

    public static void CopyResponse(HttpResponseMessage from, IHeaderDictionary to)
    {
        foreach (var (name, values) in from.Headers.NonValidated)
        {
            if (_toClient.Contains(name) && values.ToString() is { Length: <= ValueMax } value)
            {
                to[name] = value;
            }
        }

        if (from.Content.Headers.NonValidated.TryGetValues("Content-Type", out var type) && type.ToString() is { Length: <= ValueMax } media)
        {
            to.ContentType = media;
        }
    }

    public static void CopyRetryAdvice(HttpResponseHeaders from, IHeaderDictionary to)
    {
        foreach (var name in _retryAdvice)
        {
            if (from.NonValidated.TryGetValues(name, out var values) && values.ToString() is { Length: <= ValueMax } value)
            {
                to[name] = value;
            }
        }
    }

    public static string? ProviderRequestId(HttpResponseHeaders headers) =>
        headers.NonValidated.TryGetValues("x-request-id", out var values) && values.ToString() is { Length: > 0 and <= 128 } id ? id : null;
}

using Dvara.Server.Hosting.AdminApi;
using Microsoft.Extensions.Primitives;

namespace Dvara.Server.Gateway;

/// <summary>Takes the one API key out of a request's headers.</summary>
internal static class CallerKey
{
    private const string Scheme = "Bearer ";

    /// <returns>The key as sent, or the refusal.</returns>
    public static (string? Key, ApiError? Error) Read(IHeaderDictionary headers)
    {
        var authorization = headers.Authorization;
        var apiKey = headers["x-api-key"];
        if (authorization.Count == 0 && apiKey.Count == 0)
        {
            return (null, GatewayErrors.KeyRequired);
        }

        if (authorization.Count > 1 || apiKey.Count > 1)
        {
            return (null, GatewayErrors.InvalidKey);
        }

        if (authorization.Count == 0)
        {
            return One(apiKey);
        }

        var text = authorization.ToString();
        if (!text.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            // A client with an empty key sends the scheme alone, and the server trims it.
            var nothing = text.Length == 0 || Scheme.AsSpan().TrimEnd().Equals(text, StringComparison.OrdinalIgnoreCase);
            return (null, nothing ? GatewayErrors.KeyRequired : GatewayErrors.InvalidKey);
        }

        var bearer = text[Scheme.Length..];
        return apiKey.Count == 0 || apiKey.ToString() == bearer ? One(bearer) : (null, GatewayErrors.ConflictingCredentials);
    }

    private static (string? Key, ApiError? Error) One(StringValues value)
    {
        var key = value.ToString();
        return key.Length == 0 ? (null, GatewayErrors.KeyRequired) : (key, null);
    }
}

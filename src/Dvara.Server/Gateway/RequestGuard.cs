using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.Http.Features;

namespace Dvara.Server.Gateway;

/// <summary>
/// Refuses what two parsers could read as two requests, before routing sees it: targets that are not plainly spelled, a body whose end is
/// a matter of opinion, a change of protocol. Fails closed, also on paths that would match nothing.
/// </summary>
internal sealed class RequestGuard(RequestDelegate next, UnroutedRequests unrouted)
{
    private const string AdminPath = "/v1/admin/";
    private const string DataPath = "/v1/";
    private const string ModelPath = "/v1/models/";
    private const string RequestPath = "/v1/requests/";

    // Where Kestrel puts the Content-Length of a request that has a Transfer-Encoding too.
    private const string OtherLength = "X-Content-Length";

    public Task InvokeAsync(HttpContext httpContext) =>
        Judge(httpContext) is { } refusal ? unrouted.RefuseAsync(httpContext, refusal) : next(httpContext);

    /// <summary>The path as the client wrote it.</summary>
    public static ReadOnlySpan<char> PathOf(HttpContext httpContext)
    {
        var target = TargetOf(httpContext).AsSpan();
        var query = target.IndexOf('?');
        return query < 0 ? target : target[..query];
    }

    private static ApiError? Judge(HttpContext httpContext)
    {
        // First, and escaped as well: whatever else is wrong with it, nobody notes such a path.
        if (CarriesKey(TargetOf(httpContext)) || CarriesKey(httpContext.Request.Path.Value))
        {
            return GatewayErrors.KeyInTarget;
        }

        var path = PathOf(httpContext);
        if (!IsPlain(path))
        {
            return GatewayErrors.InvalidPath;
        }

        if (!IsSpelledAsRouted(path))
        {
            return UnknownPath(path);
        }

        var headers = httpContext.Request.Headers;
        if (headers.TransferEncoding.Count > 0 && RefuseCoding(httpContext.Request) is { } refusal)
        {
            httpContext.Response.Headers.Connection = "close";
            return refusal;
        }

        return headers.Upgrade.Count > 0 && headers.Upgrade.ToString().Contains("websocket", StringComparison.OrdinalIgnoreCase)
            ? GatewayErrors.NoWebSocket
            : null;
    }

    private static string TargetOf(HttpContext httpContext) => httpContext.Features.Get<IHttpRequestFeature>()?.RawTarget ?? "";

    private static bool IsPlain(ReadOnlySpan<char> path)
    {
        if (path.IsEmpty || path[0] != '/')
        {
            return false;
        }

        // Nothing there is forwarded; an id that cannot be is unknown, and the API says so. But no path leads out of it.
        if (path.StartsWith(AdminPath, StringComparison.Ordinal))
        {
            return !HasDotSegment(path.ToString().Replace("%2E", ".", StringComparison.OrdinalIgnoreCase));
        }

        // SDKs escape the slash and the colon of a model name.
        if (path.StartsWith(ModelPath, StringComparison.Ordinal))
        {
            path = path.ToString()
                .Replace("%2F", "/", StringComparison.OrdinalIgnoreCase)
                .Replace("%3A", ":", StringComparison.OrdinalIgnoreCase);
        }

        return path.IndexOfAny('%', ';', '\\') < 0
            && path.IndexOf("//", StringComparison.Ordinal) < 0
            && !HasDotSegment(path);
    }

    private static bool HasDotSegment(ReadOnlySpan<char> path)
    {
        foreach (var segment in path.Split('/'))
        {
            if (path[segment] is "." or "..")
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Routing overlooks case, escapes and a slash at the end; a rule in a proxy in front does not.</summary>
    private static bool IsSpelledAsRouted(ReadOnlySpan<char> path)
    {
        if (!path.StartsWith(DataPath, StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        if (path.StartsWith(AdminPath, StringComparison.Ordinal))
        {
            return path[^1] != '/' && !path.Contains('%') && !HasCapitalsBesideIds(path);
        }

        // An id may have capitals.
        var names = path.StartsWith(ModelPath, StringComparison.Ordinal) ? ModelPath
            : path.StartsWith(RequestPath, StringComparison.Ordinal) ? RequestPath
            : path;
        return path[^1] != '/' && !names.ContainsAnyInRange('A', 'Z');
    }

    private static bool HasCapitalsBesideIds(ReadOnlySpan<char> path)
    {
        foreach (var segment in path.Split('/'))
        {
            if (path[segment].ContainsAnyInRange('A', 'Z') && !Guid.TryParseExact(path[segment], "D", out _))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>As the API below the path says it.</summary>
    private static ApiError UnknownPath(ReadOnlySpan<char> path) =>
        path.StartsWith(AdminPath, StringComparison.OrdinalIgnoreCase) ? ApiError.NotFound("path") : GatewayErrors.UnknownPath;

    /// <summary>HTTP/1.0 knows no chunks, a second length is another end, and of a list of codings each parser may undo another part.</summary>
    private static ApiError? RefuseCoding(HttpRequest request) =>
        request.Headers.ContainsKey(OtherLength) ? GatewayErrors.TwoLengths
        : request.Headers.TransferEncoding is not [var coding] || !"chunked".Equals(coding, StringComparison.OrdinalIgnoreCase)
            || HttpProtocol.IsHttp10(request.Protocol) ? GatewayErrors.OnlyChunked
        : null;

    private static bool CarriesKey(string? text) =>
        !string.IsNullOrEmpty(text)
        && (text.Contains("gw_", StringComparison.Ordinal) || text.Contains("dvara_pat_", StringComparison.Ordinal));
}

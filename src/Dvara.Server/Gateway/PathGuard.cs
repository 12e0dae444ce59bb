using Microsoft.AspNetCore.Http.Features;

namespace Dvara.Server.Gateway;

/// <summary>
/// Refuses request targets that two parsers could read as two paths, before routing sees them. Fails closed: what is not plainly
/// spelled is 400 <c>invalid_path</c>, also on paths that would match nothing.
/// </summary>
internal sealed class PathGuard(RequestDelegate next)
{
    private const string AdminPath = "/v1/admin/";
    private const string ModelPath = "/v1/models/";

    public Task InvokeAsync(HttpContext httpContext)
    {
        var target = httpContext.Features.Get<IHttpRequestFeature>()?.RawTarget ?? "";
        if (!IsPlain(PathOf(target)))
        {
            return GatewayErrors.InvalidPath.ExecuteAsync(httpContext);
        }

        return CarriesKey(httpContext.Request.QueryString.Value) ? GatewayErrors.KeyInQuery.ExecuteAsync(httpContext) : next(httpContext);
    }

    private static ReadOnlySpan<char> PathOf(ReadOnlySpan<char> target)
    {
        var query = target.IndexOf('?');
        return query < 0 ? target : target[..query];
    }

    private static bool IsPlain(ReadOnlySpan<char> path)
    {
        if (path.IsEmpty || path[0] != '/')
        {
            return false;
        }

        // Nothing there is forwarded; an id that cannot be is unknown, and the API says so.
        if (path.StartsWith(AdminPath, StringComparison.Ordinal))
        {
            return true;
        }

        // SDKs escape the slash and the colon of a model name.
        if (path.StartsWith(ModelPath, StringComparison.Ordinal))
        {
            path = path[ModelPath.Length..].ToString()
                .Replace("%2F", "-", StringComparison.OrdinalIgnoreCase)
                .Replace("%3A", "-", StringComparison.OrdinalIgnoreCase);
        }

        return path.IndexOfAny('%', ';', '\\') < 0
            && path.IndexOf("//", StringComparison.Ordinal) < 0
            && path.IndexOf("/./", StringComparison.Ordinal) < 0
            && path.IndexOf("/../", StringComparison.Ordinal) < 0
            && !path.EndsWith("/.", StringComparison.Ordinal)
            && !path.EndsWith("/..", StringComparison.Ordinal);
    }

    private static bool CarriesKey(string? query) =>
        !string.IsNullOrEmpty(query)
        && (query.Contains("gw_", StringComparison.Ordinal) || query.Contains("dvara_pat_", StringComparison.Ordinal));
}

using System.Globalization;
using Microsoft.Net.Http.Headers;

namespace Dvara.Server.Hosting.AdminApi;

/// <summary>Names the state of a resource, so that an edit can say which state it was made from.</summary>
internal static class ETags
{
    /// <summary>Of a resource whose store raises its version with every change.</summary>
    public static string Of(long version) => string.Create(CultureInfo.InvariantCulture, $"\"{version}\"");

    /// <summary>
    /// Of a resource that knows when it last changed. The store must move the instant forward by at least 1 ms with every change,
    /// or two states would share one tag.
    /// </summary>
    public static string Of(DateTimeOffset updatedAt) => Of(updatedAt.ToUnixTimeMilliseconds());

    public static void SetETag(this HttpContext httpContext, string etag) => httpContext.Response.Headers.ETag = etag;
}

/// <summary>
/// The caller's <c>If-Match</c>. Optional: without it an edit goes ahead. Ask it inside the transaction that writes, with the row just
/// read there; asked before, another edit could come in between.
/// </summary>
internal sealed class IfMatch
{
    private readonly IReadOnlyList<EntityTagHeaderValue>? _given;

    private IfMatch(IReadOnlyList<EntityTagHeaderValue>? given) => _given = given;

    /// <returns>The condition, or the 400 for a header that is none.</returns>
    public static (IfMatch? Value, ApiError? Error) Read(HttpContext httpContext)
    {
        var header = httpContext.Request.Headers.IfMatch;
        if (header.Count == 0)
        {
            return (new(null), null);
        }

        return EntityTagHeaderValue.TryParseStrictList([.. header.Select(value => value ?? "")], out var tags) && tags.Count > 0
            ? (new([.. tags]), null)
            : (null, ApiError.Validation("If-Match", "If-Match must be the ETag of the resource in its quotation marks, or *."));
    }

    /// <returns>The 412 to answer with, or null when the edit may go ahead.</returns>
    /// <param name="etag">Of the resource as it is now.</param>
    public ApiError? Refuse(string etag)
    {
        var current = EntityTagHeaderValue.Parse(etag);
        // Strong comparison, as RFC 9110 asks of If-Match: a weak tag never matches.
        return _given is null || _given.Any(tag => tag.Equals(EntityTagHeaderValue.Any) || tag.Compare(current, useStrongComparison: true))
            ? null
            : ApiError.PreconditionFailed(etag);
    }
}

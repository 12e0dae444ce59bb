namespace Dvara.Server.Gateway;

/// <summary>Echoes <c>X-Trace-ID</c> when it is well formed; anything else is dropped, so that nothing is injected into logs.</summary>
internal sealed class TraceIdMiddleware(RequestDelegate next)
{
    private const string Header = "X-Trace-ID";
    private const int Max = 128;

    public Task InvokeAsync(HttpContext httpContext)
    {
        var sent = httpContext.Request.Headers[Header];
        if (sent.Count == 1 && sent.ToString() is { Length: > 0 and <= Max } id && id.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or ':' or '-'))
        {
            httpContext.Response.Headers[Header] = id;
        }

        return next(httpContext);
    }
}

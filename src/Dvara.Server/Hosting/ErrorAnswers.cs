using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Storage;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Diagnostics;

namespace Dvara.Server.Hosting;

/// <summary>
/// Gives the contract's shape to what no endpoint answered: a failure of ours, a body that is too large, a path or method that does not
/// exist. What an endpoint answered itself, a provider's error without a body included, passes untouched.
/// </summary>
internal static partial class ErrorAnswers
{
    public static readonly ApiError Failed = new(StatusCodes.Status500InternalServerError, "server_error", "internal_error",
        "The server failed; its log says why under this request's id.");

    private static readonly (string, string)[] Soon = [("Retry-After", "1")];

    private static readonly ApiError LedgerAway = new(StatusCodes.Status503ServiceUnavailable, "server_error", "ledger_unavailable",
        "The database cannot be reached, or did not answer in time. Nothing is lost; send the request again.")
    {
        Headers = Soon,
    };

    private static readonly ApiError SiloAway = new(StatusCodes.Status503ServiceUnavailable, "server_error", "ledger_unavailable",
        "A silo of the cluster cannot be reached, or did not answer in time. Another one takes over; send the request again.")
    {
        Headers = Soon,
    };

    public static void UseErrorAnswers(this IApplicationBuilder app)
    {
        app.UseExceptionHandler(new ExceptionHandlerOptions
        {
            ExceptionHandler = httpContext =>
            {
                // The handler before us emptied the answer, this header included.
                var request = RequestIdMiddleware.Of(httpContext).ToString();
                httpContext.Response.Headers[RequestIdMiddleware.Header] = request;
                var exception = httpContext.Features.Get<IExceptionHandlerFeature>()!.Error;

                if (IsOurs(exception, httpContext.RequestAborted.IsCancellationRequested))
                {
                    LogFailed(httpContext.RequestServices.GetRequiredService<ILogger<WebApplication>>(), exception, request, httpContext.Request.Path);
                }

                return Of(exception).ExecuteAsync(httpContext);
            },
            // Logged above, with the id by which the caller asks for it.
            SuppressDiagnosticsCallback = _ => true,
        });
        app.UseStatusCodePages(context => context.HttpContext.GetEndpoint() is RouteEndpoint
            ? Task.CompletedTask
            : Of(context.HttpContext.Response.StatusCode).ExecuteAsync(context.HttpContext));
    }

    /// <summary>What the caller did wrong, or no longer waits for, is no error of ours and not worth a stack trace in the log.</summary>
    internal static bool IsOurs(Exception exception, bool clientGone) =>
        // A connection that is reset may be told of here before it is known as gone.
        exception is not (BadHttpRequestException or ConnectionResetException or ConnectionAbortedException)
        && !(clientGone && exception is OperationCanceledException or IOException);

    internal static ApiError Of(Exception exception) => exception switch
    {
        BadHttpRequestException bad => Of(bad.StatusCode),
        _ when Database.IsAway(exception) => LedgerAway,
        OrleansException or TimeoutException => SiloAway,
        _ => Failed,
    };

    /// <summary>Of a request that failed with a status alone.</summary>
    public static ApiError Of(int status)
    {
        const string Invalid = "invalid_request_error";
        return status switch
        {
            StatusCodes.Status404NotFound => new(status, Invalid, "resource_not_found", "There is no such path."),
            StatusCodes.Status405MethodNotAllowed => new(status, Invalid, "method_not_allowed", "This path does not take that method."),
            // RFC 9110, 15.5.9: who answers so gives the connection up, and says it.
            StatusCodes.Status408RequestTimeout => new(status, Invalid, "invalid_request", "The request did not arrive in time.") { Headers = [("Connection", "close")] },
            StatusCodes.Status413PayloadTooLarge => new(status, Invalid, "input_too_large", "The body is larger than this call takes."),
            StatusCodes.Status414UriTooLong => new(status, Invalid, "invalid_request", "The request line is longer than 8 KiB."),
            StatusCodes.Status415UnsupportedMediaType => new(status, Invalid, "unsupported_media_type", "This call does not take that Content-Type."),
            StatusCodes.Status431RequestHeaderFieldsTooLarge => new(status, Invalid, "invalid_request",
                "The headers are too large: at most 100 of them and 32 KiB in all are read."),
            StatusCodes.Status505HttpVersionNotsupported => new(status, Invalid, "invalid_request", "HTTP/1.1 is spoken here, and HTTP/2 over TLS."),
            < 500 => new(status, Invalid, "invalid_request", "The request is not well formed."),
            _ => new(status, "server_error", "internal_error", "The server could not answer."),
        };
    }

    [LoggerMessage(1, LogLevel.Error, "Request {Request} to {Path} failed.")]
    private static partial void LogFailed(ILogger logger, Exception exception, string request, string path);
}

using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.Diagnostics;

namespace Dvara.Server.Hosting;

/// <summary>Gives the answers that no endpoint wrote the contract's shape: unknown paths, wrong methods, broken requests, our own failures.</summary>
internal static class ErrorPages
{
    public static void UseErrorPages(this WebApplication app)
    {
        app.UseExceptionHandler(new ExceptionHandlerOptions
        {
            ExceptionHandler = httpContext => ErrorOf(httpContext.Features.Get<IExceptionHandlerFeature>()?.Error).ExecuteAsync(httpContext),
            // Who sent a broken request knows; only our own failures are worth a line.
            SuppressDiagnosticsCallback = context => context.Exception is BadHttpRequestException or OperationCanceledException,
        });
        app.UseStatusCodePages(context => ErrorOf(context.HttpContext).ExecuteAsync(context.HttpContext));
    }

    private static ApiError ErrorOf(Exception? exception) => exception switch
    {
        BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } =>
            new(413, "invalid_request_error", "input_too_large", "The body is too large."),
        BadHttpRequestException broken => new(broken.StatusCode, "invalid_request_error", "validation_error", "The request broke off or broke the rules of HTTP."),
        _ => new(500, "server_error", "server_error", "The gateway failed. The request id finds the reason in its log."),
    };

    private static ApiError ErrorOf(HttpContext httpContext) => httpContext.Response.StatusCode switch
    {
        404 => new(404, "invalid_request_error", "resource_not_found", "There is no such path. It was not forwarded."),
        405 => new(405, "invalid_request_error", "method_not_allowed",
            $"{httpContext.Request.Method} is not possible here; use {httpContext.Response.Headers.Allow}."),
        415 => new(415, "invalid_request_error", "unsupported_media_type", "The body must be JSON: send Content-Type: application/json."),
        var status => new(status, "invalid_request_error", "validation_error", "The request was refused."),
    };
}

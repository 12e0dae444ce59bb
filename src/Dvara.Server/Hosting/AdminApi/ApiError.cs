using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dvara.Server.Hosting.AdminApi;

/// <summary>One bad field of a request.</summary>
internal sealed record FieldError(string Field, string Message);

/// <summary>
/// A refusal as a value, in the contract's shape <c>{"error":{message,type,code,param,request_id}}</c>, with <c>errors</c> or <c>budget</c>
/// where there is something to say in them. Endpoints return it; nothing is thrown for what a caller got wrong.
/// </summary>
internal sealed class ApiError(int status, string type, string code, string message) : IResult
{
    public int Status => status;

    public string Code => code;

    public string? Param { get; init; }

    public IReadOnlyList<FieldError>? Errors { get; init; }

    /// <summary>The cap that refused, as the caller may know it.</summary>
    public object? Budget { get; init; }

    /// <summary>Headers that go with it.</summary>
    public IReadOnlyList<(string Name, string Value)> Headers { get; init; } = [];

    public static ApiError NotFound(string what) =>
        new(StatusCodes.Status404NotFound, "invalid_request_error", "not_found", $"No such {what}.");

    public static ApiError Validation(IReadOnlyList<FieldError> errors) =>
        new(StatusCodes.Status400BadRequest, "invalid_request_error", "validation_error", string.Join(" ", errors.Select(e => e.Message)))
        {
            Param = errors[0].Field,
            Errors = errors,
        };

    public static ApiError Validation(string field, string message) => Validation([new FieldError(field, message)]);

    public static ApiError Conflict(string message) =>
        new(StatusCodes.Status409Conflict, "invalid_request_error", "conflict", message);

    public static ApiError PreconditionFailed(string etag) =>
        new(StatusCodes.Status412PreconditionFailed, "invalid_request_error", "precondition_failed",
            $"The resource has changed since it was read; its ETag is now {etag}.");

    public static ApiError MissingScope(string scope) =>
        new(StatusCodes.Status403Forbidden, "permission_error", "missing_scope", $"The admin token lacks the scope {scope}.");

    public static ApiError Unauthorized(string code, string message) =>
        new(StatusCodes.Status401Unauthorized, "authentication_error", code, message);

    public Task ExecuteAsync(HttpContext httpContext)
    {
        httpContext.Response.StatusCode = status;
        foreach (var (name, value) in Headers)
        {
            httpContext.Response.Headers[name] = value;
        }

        return httpContext.Response.WriteAsJsonAsync(
            BodyOf(RequestIdOf(httpContext)), AdminJson.Options, "application/json", httpContext.RequestAborted);
    }

    /// <summary>The body alone, for what is refused before there is a request.</summary>
    public byte[] ToJson(string requestId) => JsonSerializer.SerializeToUtf8Bytes(BodyOf(requestId), AdminJson.Options);

    private Envelope BodyOf(string requestId) => new(new(message, type, code, Param, requestId, Errors, Budget));

    private static string RequestIdOf(HttpContext httpContext) => httpContext.Response.Headers["x-request-id"].ToString();

    private sealed record Envelope(Body Error);

    private sealed record Body(
        string Message,
        string Type,
        string Code,
        string? Param,
        [property: JsonPropertyName("request_id")] string RequestId,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<FieldError>? Errors,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] object? Budget);
}

using Dvara.Providers;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Gateway;

/// <summary>Every refusal of the data plane, with the contract's status, type and code in one place.</summary>
internal static class GatewayErrors
{
    private const string Invalid = "invalid_request_error";
    private const string Authentication = "authentication_error";
    private const string Permission = "permission_error";
    private const string ProviderType = "provider_error";

    public static readonly ApiError InvalidPath = new(400, Invalid, "invalid_path",
        "The request target must be a plain path: no percent escapes, ';', '\\', '//', dot segments or absolute form.");

    public static readonly ApiError UnknownPath = new(404, Invalid, "resource_not_found", "There is no such path.");

    public static readonly ApiError TwoLengths = new(400, Invalid, "invalid_request",
        "The request has both a Content-Length and a Transfer-Encoding; send one of them.");

    public static readonly ApiError OnlyChunked = new(400, Invalid, "invalid_request",
        "The Transfer-Encoding must be chunked and nothing else, once, on HTTP/1.1.");

    public static readonly ApiError NoWebSocket = new(400, Invalid, "invalid_request", "Web sockets are not served; streams are server-sent events.");

    public static readonly ApiError KeyRequired = new(401, Authentication, "api_key_required",
        "No API key was sent. Send one as: Authorization: Bearer gw_…");

    public static readonly ApiError InvalidKey = new(401, Authentication, "invalid_api_key", "The API key is not valid.");

    public static readonly ApiError KeyInTarget = new(401, Authentication, "invalid_api_key",
        "A key in the path or the query string ends up in logs and is refused. Send it as: Authorization: Bearer gw_… Rotate the key that was sent.");

    public static readonly ApiError ConflictingCredentials = new(401, Authentication, "conflicting_credentials",
        "Two different keys were sent. Send one, as Authorization or as x-api-key.");

    public static readonly ApiError KeyRevoked = new(401, Authentication, "api_key_revoked", "The API key has been revoked.");

    public static readonly ApiError KeyExpired = new(401, Authentication, "api_key_expired", "The API key has expired.");

    public static readonly ApiError TenantSuspended = new(403, Permission, "tenant_suspended", "The tenant of this API key is suspended.");

    public static readonly ApiError LedgerUnavailable = new(503, "server_error", "ledger_unavailable",
        "Usage cannot be recorded at the moment, so nothing was sent to the provider. Try again.");

    public static readonly ApiError BudgetUnavailable = new(503, "server_error", "ledger_unavailable",
        "Nobody can say at the moment what is left of a budget that covers this call, so nothing was sent to the provider. Try again.");

    public static readonly ApiError KeysUnavailable = new(503, "server_error", "ledger_unavailable",
        "The API key cannot be looked up at the moment. Try again.");

    public static readonly ApiError Stopped = new(503, "server_error", "shutting_down",
        "This node of the gateway stopped before the provider had answered. The call may have been billed; it is kept as unresolved.");

    public static readonly ApiError TooManyBadKeys = new(429, "rate_limit_error", "rate_limit_exceeded",
        "Too many requests with keys that are not valid came from this address.");

    public static readonly ApiError UnsupportedMedia = new(415, Invalid, "unsupported_media_type",
        "The body must be plain JSON in UTF-8: send Content-Type: application/json and no Content-Encoding.");

    public static readonly ApiError UnknownRequest = new(404, Invalid, "resource_not_found", "No such request of this key.");

    public static readonly ApiError LoopDetected = new(508, "server_error", "loop_detected",
        "This request has been through this gateway before: a provider's base URL leads back here.")
    {
        Headers = [("x-should-retry", "false")],
    };

    public static ApiError TooLarge(int limitBytes) =>
        new(413, Invalid, "input_too_large", $"The body is larger than {limitBytes} bytes.");

    public static ApiError MissingScope(string scope) =>
        new(403, Permission, "api_key_scope", $"The API key lacks the scope {scope}.");

    public static ApiError ModelNotAllowed(string model) =>
        new(403, Permission, "model_not_allowed", $"The API key may not use the model {Quote(model)}.") { Param = "model" };

    public static ApiError UnpricedModel(string provider, string model) =>
        new(403, Permission, "unpriced_model",
            $"There is no price for {Quote(model)} of {provider}, and the tenant's policy is to block such calls. Add one with POST /v1/admin/pricing.")
        { Param = "model" };

    public static ApiError UnpricedUnderCap(string provider, string model) =>
        new(403, Permission, "unpriced_model",
            $"A budget covers this call, and there is no price for {Quote(model)} nor for any other model of {provider} to hold it to. Add one with POST /v1/admin/pricing.")
        { Param = "model" };

    public static ApiError ModelNotFound(string model) =>
        new(404, Invalid, "model_not_found", $"No provider claims the model {Quote(model)}. Name one explicitly, as provider/model.") { Param = "model" };

    public static ApiError ProviderNotConfigured(string provider, string variable) =>
        new(400, Invalid, "provider_not_configured",
            provider == ProviderNames.Mock
                ? $"The mock is switched off: {variable} is false."
                : $"The provider {provider} has no credential. Set {variable} (or Dvara:Providers:{provider}:ApiKey) and restart, or try the built-in mock with a model such as mock/gpt-4o.")
        { Param = "model" };

    public static ApiError WrongFormat(string provider) =>
        new(400, Invalid, "unsupported_parameter", $"The provider {provider} does not speak the OpenAI format of this path.") { Param = "model" };

    public static ApiError Of(RequestProblem problem) => new(problem.Status, Invalid, problem.Code, problem.Message) { Param = problem.Param };

    public static ApiError ProviderError(string provider, string what) => new(502, ProviderType, "provider_error", $"The provider {provider} {what}.");

    public static ApiError ProviderUnavailable(string provider, string what) =>
        new(503, ProviderType, "provider_unavailable", $"The provider {provider} {what}.");

    public static ApiError ProviderTimeout(string provider) =>
        new(504, ProviderType, "provider_timeout", $"The provider {provider} did not answer in time. The call may have been billed; it is kept as unresolved.");

    /// <summary>What a client wrote, short enough for a message.</summary>
    private static string Quote(string text) => text.Length <= 80 ? text : text[..80] + "…";
}

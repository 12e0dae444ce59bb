using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Hosting.Idempotency;

/// <summary>
/// <c>Idempotency-Key</c> on every admin POST, after authorization and before the endpoint: a repeat within 24 hours gets the first answer.
/// <para>
/// claim (own transaction) → the endpoint, whose own transaction also marks the claim "has had its effect" → answer kept (own transaction)
/// → answer sent. The mark is set by <c>AuditTrail.AppendAsync</c>, which every admin write calls with its event.
/// </para>
/// <para>
/// A crash between claim and effect leaves a claim without mark: nothing happened, the repeat runs. A crash between effect and kept answer
/// leaves a marked claim without answer: the repeat is 409 and says so, because running it again would do it twice. What is refused or
/// fails without effect is not kept, so that a corrected call may use the same key.
/// A claim of another process counts as interrupted: with SQLite at once, because no two processes run on one ledger; in a cluster when it
/// is older than a call can be.
/// </para>
/// </summary>
internal sealed class IdempotencyMiddleware(RequestDelegate next, IdempotencyStore store, TimeProvider clock)
{
    private const string Header = "Idempotency-Key";
    private const int KeyCharsMax = 255;

    public Task InvokeAsync(HttpContext httpContext)
    {
        var request = httpContext.Request;
        return HttpMethods.IsPost(request.Method)
            && request.Headers.ContainsKey(Header)
            && request.Path.StartsWithSegments("/v1/admin", StringComparison.OrdinalIgnoreCase)
            && httpContext.User.Identities.OfType<AdminIdentity>().FirstOrDefault() is { } identity
                ? InvokeOnceAsync(httpContext, identity.Admin)
                : next(httpContext);
    }

    private async Task InvokeOnceAsync(HttpContext httpContext, AdminActor admin)
    {
        var keys = httpContext.Request.Headers[Header];
        if (keys.Count != 1 || keys[0] is not { Length: >= 1 and <= KeyCharsMax } key || key.Any(c => c is <= ' ' or > '~'))
        {
            await ApiError.Validation(Header, $"{Header} must be one value of 1 to {KeyCharsMax} visible ASCII characters.").ExecuteAsync(httpContext);
            return;
        }

        var body = await ReadBodyAsync(httpContext);
        var claim = new IdempotencyClaim(admin.Id, key, IdempotencyClaim.FingerprintOf(httpContext.Request, body.GetBuffer().AsSpan(0, (int)body.Length)));
        var outcome = await store.ClaimAsync(claim, clock.GetUtcNow(), httpContext.RequestAborted);
        await (outcome.State switch
        {
            ClaimState.Taken => RunAsync(httpContext, claim),
            ClaimState.Answered => outcome.Answer!.WriteAsync(httpContext),
            _ => Refuse(outcome.State, httpContext).ExecuteAsync(httpContext),
        });
    }

    private static ApiError Refuse(ClaimState state, HttpContext httpContext)
    {
        switch (state)
        {
            case ClaimState.OtherCall:
                return new(StatusCodes.Status422UnprocessableEntity, "invalid_request_error", "idempotency_key_reused",
                    $"This {Header} was used for another call. Use a new one for new contents.");
            case ClaimState.Interrupted:
                return ApiError.Conflict(
                    $"The first call with this {Header} took effect, but its answer was lost when the server stopped. "
                    + "Look its result up; to do it once more, use a new key.");
            default:
                httpContext.Response.Headers.RetryAfter = "1";
                return ApiError.Conflict($"The first call with this {Header} is still running.");
        }
    }

    private async Task RunAsync(HttpContext httpContext, IdempotencyClaim claim)
    {
        var sent = httpContext.Response.Body;
        using var answer = new MemoryStream();
        httpContext.Features.Set(claim);
        httpContext.Response.Body = answer;
        var kept = false;
        try
        {
            await next(httpContext);
            if (httpContext.Response.StatusCode is >= 200 and < 300)
            {
                await store.KeepAsync(claim, StoredAnswer.Of(httpContext.Response, answer.ToArray()));
                kept = true;
            }
        }
        finally
        {
            httpContext.Response.Body = sent;
            if (!kept)
            {
                await store.ReleaseAsync(claim);
            }
        }

        answer.Position = 0;
        await answer.CopyToAsync(sent, httpContext.RequestAborted);
    }

    /// <summary>Reads the body, whose size the admin API's limit bounds, and puts a readable copy in its place.</summary>
    private static async Task<MemoryStream> ReadBodyAsync(HttpContext httpContext)
    {
        var body = new MemoryStream();
        httpContext.Response.RegisterForDispose(body);
        await httpContext.Request.Body.CopyToAsync(body, httpContext.RequestAborted);
        body.Position = 0;
        httpContext.Request.Body = body;
        return body;
    }
}

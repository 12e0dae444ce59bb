using Dvara.Providers;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Gateway;

/// <summary>
/// One request of the data plane, from key to charge. Fails closed: without a key, a readable body and a durable intent nothing
/// reaches a provider.
/// </summary>
/// <remarks>
/// <code>
/// client ── (1) key ── (2) read ── (3) hold ── (4) intent ── (5) forward ────────── provider
///           └─── Admission ───┘   BudgetGate   └─ Dispatcher, Attempt ─┘                │
/// client ── (8) end ── (7) settle ── (6) rate ── bytes, metered ────────────────────────┘
///           └──────── MeteredStream / AnswerTransformer ────────┘     (9) ship: Metering
/// </code>
/// </remarks>
internal sealed class Conductor(
    Admission admission, Dispatcher dispatcher, BudgetView budgets, RequestLog requests, UnroutedRequests unrouted, LoopMark loop)
{
    public Task RunAsync(HttpContext httpContext, Endpoint endpoint) =>
        ConductAsync(httpContext, endpoint, endpoint.Path(), endpoint == Endpoint.Embeddings ? "embeddings:write" : "completions:write",
            // :: Steps 3 to 8
            call => dispatcher.SendAsync(httpContext, call));

    /// <summary>POST /v1/budget/estimate: a chat body as it would be sent; nothing is.</summary>
    public Task EstimateAsync(HttpContext httpContext) =>
        ConductAsync(httpContext, Endpoint.ChatCompletions, "/v1/budget/estimate", "completions:write", async call =>
        {
            await (await budgets.EstimateAsync(call, httpContext.RequestAborted)).ExecuteAsync(httpContext);
            return (null, false);
        });

    private async Task ConductAsync(
        HttpContext httpContext, Endpoint endpoint, string path, string scope, Func<AdmittedCall, Task<(ApiError? Error, bool Attempted)>> goOnAsync)
    {
        if (loop.IsOn(httpContext.Request.Headers))
        {
            loop.PutOn(httpContext.Response.Headers);
            await unrouted.RefuseAsync(httpContext, GatewayErrors.LoopDetected);
            return;
        }

        // :: Step 1
        var (caller, error) = await admission.AuthenticateAsync(httpContext, scope);
        string? model = null;
        AdmittedCall? call = null;
        if (error is null)
        {
            // :: Step 2
            (call, model, error) = await admission.ReadAsync(httpContext, caller!, endpoint);
        }

        var attempted = false;
        if (error is null)
        {
            (error, attempted) = await goOnAsync(call!);
        }

        if (error is null)
        {
            return;
        }

        // What was noted in the journal has its row in the ledger.
        if (caller is not null && !attempted)
        {
            var request = RequestIdMiddleware.Of(httpContext);
            requests.Record(new(request, new(caller.TenantId), new(caller.KeyId), path, error.Status, error.Code) { Model = model });
        }

        await RefuseAsync(httpContext, error);
    }

    private static Task RefuseAsync(HttpContext httpContext, ApiError error)
    {
        if (httpContext.Response.HasStarted)
        {
            return Task.CompletedTask;
        }

        // The forwarder sets a status of its own when it fails, and may empty the answer; neither is the contract's.
        httpContext.Response.Headers.ContentLength = null;
        httpContext.Response.Headers[RequestIdMiddleware.Header] = RequestIdMiddleware.Of(httpContext).ToString();
        if (error.Status == StatusCodes.Status503ServiceUnavailable && httpContext.Response.Headers.RetryAfter.Count == 0)
        {
            httpContext.Response.Headers.RetryAfter = "1";
        }

        return error.ExecuteAsync(httpContext);
    }
}

using System.Buffers;
using System.IO.Pipelines;
using Dvara.Providers;
using Dvara.Server.Budgets;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Metering;
using Yarp.ReverseProxy.Forwarder;

namespace Dvara.Server.Gateway;

/// <summary>
/// Sends an admitted call to its provider and sees every attempt to its charge. Fails closed: without a hold and a durable intent nothing leaves.
/// </summary>
internal sealed class Dispatcher(
    IHttpForwarder forwarder, BudgetGate gate, Bounds bounds, HoldRefusals refusals, Attempts attempts, DrainGate drains, GatewayOptions options,
    LoopMark loop, Drain node, TimeProvider clock)
{
    /// <summary>The forwarder's own timer is out of the way: silence is bounded where the error event can still be sent.</summary>
    private static readonly ForwarderRequestConfig _config = new() { ActivityTimeout = TimeSpan.FromDays(2) };

    /// <returns>The refusal to answer with, or null when the client has its answer; and whether an attempt tells of it in the ledger.</returns>
    public async Task<(ApiError? Error, bool Attempted)> SendAsync(HttpContext httpContext, AdmittedCall call)
    {
        var isRejected = false;
        for (var number = 1; ; number++)
        {
            if (node.Overdue.IsCancellationRequested)
            {
                return (Drain.ShuttingDown, number > 1);
            }

            // :: Step 3
            var decision = await HoldAsync(httpContext, call);
            if (decision.Hold is not { } hold)
            {
                return (refusals.Of(decision, call), number > 1);
            }

            Attempt attempt;
            ReadOnlySequence<byte> body;
            var asks = call.Facts.Stream && call.Route.Provider.AsksForUsage && !isRejected;
            try
            {
                // Before the note: what fails behind it must end the attempt.
                body = BodyRewriter.Rewrite(call.Body, call.Facts.Plan, ChangesOf(call, hold, asks));
                attempt = attempts.Begin(call, number, hold);
                // :: Step 4
                await attempt.NoteAsync(httpContext.RequestAborted);
            }
            catch (Exception exception)
            {
                hold.Release();
                if (exception is JournalUnavailableException)
                {
                    return (GatewayErrors.LedgerUnavailable, number > 1);
                }

                throw;
            }

            BudgetHeaders.Write(httpContext.Response.Headers, hold);
            // :: Steps 5 to 8
            var (error, again) = await ForwardAsync(httpContext, attempt, body, asks);
            if (!again)
            {
                if (isRejected && error is null && httpContext.Response.StatusCode == StatusCodes.Status200OK)
                {
                    // Without it the same call went well, so it was to blame, and not what the client wrote and the host repeats in its error.
                    call.Route.Provider.StopAskingForUsage();
                }

                return (error, true);
            }

            // The one rejection that is our own doing: the host does not know stream_options.
            isRejected = true;
            httpContext.Response.Clear();
            httpContext.Response.Headers[RequestIdMiddleware.Header] = call.RequestId.ToString();
        }
    }

    private async ValueTask<HoldDecision> HoldAsync(HttpContext httpContext, AdmittedCall call)
    {
        if (!gate.HasCaps && !Bounds.HasCeiling(call))
        {
            return HoldDecision.Admit(gate.Nothing(Bounds.ScopeOf(call)));
        }

        while (true)
        {
            var request = bounds.Of(call);
            var decision = await gate.HoldAsync(request, httpContext.RequestAborted);
            if (decision.Hold is not { } hold || bounds.IsPricedBy(request, call, hold.At))
            {
                return decision;
            }

            // It waited while its price changed: it would be charged by another one than was held for it.
            hold.Release();
        }
    }

    private static BodyChanges ChangesOf(AdmittedCall call, Hold hold, bool asks) => new()
    {
        Model = call.Route.Model == call.Facts.Model ? null : call.Route.Model,
        AskUsage = asks,
        OutputLimit = hold.OutputLimit,
        // OpenAI's own chat models want the newer name; everybody else knows the older one.
        OutputLimitAsMaxTokens = call.Endpoint == Endpoint.Completions || call.Route.Provider.Id != ProviderNames.OpenAi,
    };

    /// <summary>(5) to (8) of one attempt.</summary>
    private async Task<(ApiError? Error, bool Again)> ForwardAsync(HttpContext httpContext, Attempt attempt, ReadOnlySequence<byte> body, bool asks)
    {
        if (httpContext.RequestAborted.IsCancellationRequested)
        {
            // Left while the attempt was noted: it is not sent, so nobody bills it.
            await attempt.FailAsync(Outcomes.ClientClosed);
            return (null, false);
        }

        var provider = attempt.Call.Route.Provider;
        httpContext.Request.Body = PipeReader.Create(body).AsStream();
        httpContext.Request.ContentLength = body.Length;

        using var watch = new ClientWatch(httpContext, drains, node.Overdue);
        watch.StopAfter(TimeSpan.FromSeconds(options.FirstByteSeconds));
        var transformer = new AnswerTransformer(attempt, asks, watch, options, loop, clock);
        var result = await forwarder.SendAsync(httpContext, provider.Root, provider.Invoker, _config, transformer, watch.Stop);
        await ConcludeAsync(httpContext, attempt, transformer, watch, result);
        transformer.Answer?.Release();
        return (transformer.Refusal, transformer.UsageRejected);
    }

    /// <summary>
    /// Sees to it that the attempt has ended. The forwarder catches whatever is thrown inside it and calls it trouble of one side or the
    /// other; what is neither is a fault of ours, and nobody else is charged or blamed for it.
    /// </summary>
    private static async Task ConcludeAsync(HttpContext httpContext, Attempt attempt, AnswerTransformer transformer, ClientWatch watch, ForwarderError result)
    {
        var exception = httpContext.GetForwarderErrorFeature()?.Exception;
        if (!IsOurs(exception))
        {
            try
            {
                if (!attempt.Ended)
                {
                    await EndAsync(attempt, transformer, watch, result, exception);
                }
            }
            catch (Exception failure) when (!attempt.Ended)
            {
                exception = failure;
            }
        }

        if (IsOurs(exception) || !attempt.Ended)
        {
            await attempt.GiveUpAsync(exception);
            transformer.Refuse(ErrorAnswers.Failed);
        }
    }

    private static bool IsOurs(Exception? exception) => exception switch
    {
        null or OperationCanceledException or IOException or HttpRequestException => false,
        AggregateException several => several.InnerExceptions.Any(IsOurs),
        _ => true,
    };

    /// <summary>The forwarder stopped before the answer's end: charges what is known and says what happened.</summary>
    private static async Task EndAsync(Attempt attempt, AnswerTransformer transformer, ClientWatch watch, ForwarderError result, Exception? exception)
    {
        if (transformer.Answer is { } answer)
        {
            await answer.AbandonAsync(watch.Cause ?? Outcomes.ClientClosed);
            return;
        }

        var provider = attempt.Call.Route.Provider.Id;
        if (result == ForwarderError.Request && NeverSent(exception))
        {
            await attempt.FailAsync(Outcomes.ProviderUnreachable);
            transformer.Refuse(GatewayErrors.ProviderUnavailable(provider, "cannot be reached"));
        }
        else if (watch.Cause is { } cause)
        {
            await attempt.UnresolveAsync(cause);
            if (!watch.ClientGone)
            {
                transformer.Refuse(GatewayErrors.Stopped);
            }
        }
        else if (watch.Stop.IsCancellationRequested)
        {
            await attempt.UnresolveAsync(Outcomes.ProviderTimeout);
            transformer.Refuse(GatewayErrors.ProviderTimeout(provider));
        }
        else
        {
            await attempt.UnresolveAsync(Outcomes.ConnectionReset);
            transformer.Refuse(GatewayErrors.ProviderError(provider, "broke the connection; the call may have been billed and is kept as unresolved"));
        }
    }

    /// <summary>True when no byte of the call can have reached the provider.</summary>
    private static bool NeverSent(Exception? exception) => exception is HttpRequestException
    {
        HttpRequestError: HttpRequestError.NameResolutionError or HttpRequestError.ConnectionError or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError,
    };
}

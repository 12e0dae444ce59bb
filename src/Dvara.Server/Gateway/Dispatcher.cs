using System.IO.Pipelines;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Providers;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Metering;
using Dvara.Server.Pricing;
using Yarp.ReverseProxy.Forwarder;

namespace Dvara.Server.Gateway;

/// <summary>
/// Sends an admitted call to its provider and sees every attempt to its charge. Fails closed: without a durable intent nothing leaves.
/// </summary>
internal sealed class Dispatcher(
    IHttpForwarder forwarder, Journal journal, Settlement settlement, PriceBookState prices, DrainGate drains, GatewayOptions options, LoopMark loop, TimeProvider clock)
{
    /// <summary>Bytes per token of ordinary English text, for the note that bounds what a crash leaves unknown.</summary>
    private const int TypicalBytesPerToken = 4;

    /// <summary>The forwarder's own timer is out of the way: silence is bounded where the error event can still be sent.</summary>
    private static readonly ForwarderRequestConfig _config = new() { ActivityTimeout = TimeSpan.FromDays(2) };

    /// <returns>The refusal to answer with, or null when the client has its answer.</returns>
    public async Task<ApiError?> SendAsync(HttpContext httpContext, AdmittedCall call)
    {
        for (var number = 1; ; number++)
        {
            var asks = call.Facts.Stream && call.Route.Provider.AsksForUsage;
            var attempt = new Attempt(call, IntentOf(call, number), journal, settlement, prices, clock);
            try
            {
                await attempt.NoteAsync(httpContext.RequestAborted);
            }
            catch (JournalUnavailableException)
            {
                return GatewayErrors.LedgerUnavailable;
            }

            var (error, again) = await ForwardAsync(httpContext, attempt, asks);
            if (!again)
            {
                return error;
            }

            // The one rejection that is our own doing: the host does not know stream_options. Asked once per start.
            call.Route.Provider.StopAskingForUsage();
            httpContext.Response.Clear();
            httpContext.Response.Headers[Hosting.RequestIdMiddleware.Header] = call.RequestId.ToString();
        }
    }

    /// <summary>(5) to (8) of one attempt.</summary>
    private async Task<(ApiError? Error, bool Again)> ForwardAsync(HttpContext httpContext, Attempt attempt, bool asks)
    {
        var call = attempt.Call;
        var provider = call.Route.Provider;
        var body = BodyRewriter.Rewrite(call.Body, call.Facts.Plan, new BodyChanges { Model = call.Route.Model == call.Facts.Model ? null : call.Route.Model, AskUsage = asks });
        httpContext.Request.Body = PipeReader.Create(body).AsStream();
        httpContext.Request.ContentLength = body.Length;

        using var watch = new ClientWatch(httpContext, drain: call.ToldAtEnd, drains);
        watch.StopAfter(TimeSpan.FromSeconds(options.FirstByteSeconds));
        var transformer = new AnswerTransformer(attempt, asks, watch, options, loop, clock);
        var result = await forwarder.SendAsync(httpContext, provider.Root, provider.Invoker, _config, transformer, watch.Stop);
        if (!attempt.Ended)
        {
            await EndAsync(httpContext, attempt, transformer, watch, result);
        }

        transformer.Answer?.Release();
        return (transformer.Refusal, transformer.UsageRejected);
    }

    /// <summary>The forwarder stopped before the answer's end: charges what is known and says what happened.</summary>
    private static async Task EndAsync(HttpContext httpContext, Attempt attempt, AnswerTransformer transformer, ClientWatch watch, ForwarderError result)
    {
        if (transformer.Answer is { } answer)
        {
            await answer.AbandonAsync();
            return;
        }

        var provider = attempt.Call.Route.Provider.Id;
        var exception = httpContext.GetForwarderErrorFeature()?.Exception;
        if (result == ForwarderError.Request && NeverSent(exception))
        {
            await attempt.FailAsync(Outcomes.ProviderUnreachable);
            transformer.Refuse(GatewayErrors.ProviderUnavailable(provider, "cannot be reached"));
        }
        else if (watch.ClientGone)
        {
            await attempt.UnresolveAsync(Outcomes.ClientClosed);
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

    private Intent IntentOf(AdmittedCall call, int number) => new()
    {
        AttemptId = AttemptId.At(clock.GetUtcNow()),
        RequestId = call.RequestId,
        Attempt = number,
        TenantId = new(call.Caller.TenantId),
        ApiKeyId = new(call.Caller.KeyId),
        Provider = call.Route.Provider.Id,
        Model = call.Route.Model,
        RequestedModel = call.Facts.Model,
        Endpoint = call.Endpoint.Path(),
        Stream = call.Facts.Stream,
        Tags = call.Tags,
        EndUser = call.Facts.EndUser,
        IdempotencyKey = call.IdempotencyKey,
        EstimatedInputTokens = call.Facts.InputTextBytes / TypicalBytesPerToken,
    };
}

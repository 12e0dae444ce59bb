using System.IO.Compression;
using System.Net.Http.Headers;
using System.Text;
using Dvara.Providers.Mock;
using Dvara.Providers.OpenAI;
using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace Dvara.Server.Gateway;

/// <summary>
/// One attempt's part of the forwarding: what of the request's head reaches the provider, and what of the provider's answer reaches
/// the client. Whole answers up to 1 MB are settled here, so that their cost fits in a header; all others in <see cref="MeteredStream"/>.
/// </summary>
internal sealed class AnswerTransformer(Attempt attempt, bool asksForUsage, ClientWatch watch, GatewayOptions options, LoopMark loop, TimeProvider clock)
    : HttpTransformer
{
    /// <summary>Whole answers up to this size carry their cost in a header.</summary>
    private const int WholeMax = 1 << 20;

    private const string CostHeader = "X-Dvara-Cost-Usd";

    private readonly AdmittedCall _call = attempt.Call;

    /// <summary>The answer that is on its way to the client; null: none came, or it was settled here.</summary>
    public MeteredStream? Answer { get; private set; }

    /// <summary>What to answer instead of what the provider said.</summary>
    public ApiError? Refusal { get; private set; }

    /// <summary>True when the provider refused the call only because we asked for usage.</summary>
    public bool UsageRejected { get; private set; }

    public void Refuse(ApiError error) => Refusal = error;

    public override async ValueTask TransformRequestAsync(
        HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
        var provider = _call.Route.Provider;
        proxyRequest.RequestUri = provider.AddressOf(_call.Endpoint, httpContext.Request.QueryString.Value ?? "");
        HeaderRules.CleanRequest(proxyRequest.Headers, CallerKey.Read(httpContext.Request.Headers).Key!);
        if (provider.Config.Credential is { } credential)
        {
            proxyRequest.Headers.Authorization = new AuthenticationHeaderValue("Bearer", credential);
        }

        loop.PutOn(proxyRequest.Headers);
        if (_call.Facts.Mock is { } script)
        {
            proxyRequest.Options.Set(MockProviderHandler.Script, script);
        }
    }

    public override async ValueTask<bool> TransformResponseAsync(
        HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is null)
        {
            return false;
        }

        watch.BeginAnswer();
        attempt.Status = (int)proxyResponse.StatusCode;
        attempt.ProviderRequestId = HeaderRules.ProviderRequestId(proxyResponse.Headers);
        httpContext.Features.Get<IHttpResponseFeature>()!.ReasonPhrase = null;
        var body = new AnswerBody(await OpenAsync(proxyResponse.Content, cancellationToken), watch, options, clock);
        try
        {
            return (int)proxyResponse.StatusCode switch
            {
                >= 200 and < 300 when IsEventStream(proxyResponse) && MayHaveBody(proxyResponse) => PassEvents(httpContext, proxyResponse, body),
                >= 200 and < 300 => await PassWholeAsync(httpContext, proxyResponse, body),
                >= 400 and < 500 => await PassRefusalAsync(httpContext, proxyResponse, body),
                _ => await ReplaceFailureAsync(httpContext, proxyResponse, body),
            };
        }
        catch (AnswerBrokenException broken)
        {
            // The head was read and the rest did not come: the provider did the work, and its usage went with the line.
            await attempt.UnresolveAsync(broken.Outcome);
            Refusal = broken.Outcome switch
            {
                Outcomes.GatewayStopped => GatewayErrors.Stopped,
                Outcomes.ProviderTimeout => GatewayErrors.ProviderTimeout(_call.Route.Provider.Id),
                _ => GatewayErrors.ProviderError(_call.Route.Provider.Id, "broke off its answer; the call is kept as unresolved"),
            };
            return false;
        }
        finally
        {
            // What was read here is not the forwarder's any more: it disposes the content that took its place.
            if (Answer is null)
            {
                body.Dispose();
            }
        }
    }

    public override ValueTask TransformResponseTrailersAsync(HttpContext httpContext, HttpResponseMessage proxyResponse, CancellationToken cancellationToken) => default;

    private bool PassEvents(HttpContext httpContext, HttpResponseMessage answer, AnswerBody body)
    {
        HeaderRules.CopyResponse(answer, httpContext.Response.Headers);
        var meter = new OpenAiStreamMeter(_call.Endpoint, attempt.Intent.Model, hideUsage: asksForUsage && !_call.Facts.WantsUsageChunk);
        Pass(answer, new MeteredStream(body, [], meter, attempt, events: true, clock));
        if (!_call.ToldAtEnd)
        {
            // Behind the pass: what is cut now has an answer to be charged by.
            watch.CutWithoutClient();
        }

        return true;
    }

    private async Task<bool> PassWholeAsync(HttpContext httpContext, HttpResponseMessage answer, AnswerBody body)
    {
        var (head, complete) = await ReadHeadAsync(body, answer.Content.Headers.ContentLength);
        if (!complete)
        {
            HeaderRules.CopyResponse(answer, httpContext.Response.Headers);
            return Pass(answer, new MeteredStream(body, head.Span, new OpenAiWholeMeter(_call.Endpoint, attempt.Intent.Model), attempt, events: false, clock));
        }

        var facts = OpenAiAnswer.Read(head.Span, _call.Endpoint, attempt.Intent.Model);
        if (facts.Malformed)
        {
            Refusal = GatewayErrors.ProviderError(_call.Route.Provider.Id, $"answered {attempt.Status} with something that is no answer");
            if (facts.Usage is null)
            {
                await attempt.UnresolveAsync(Outcomes.UnreadableAnswer);
                return false;
            }

            // It says what it bills, all the same.
            await attempt.SettleAsync(facts, Outcomes.UnreadableAnswer);
            return false;
        }

        await attempt.SettleAsync(facts, watch.ClientGone ? Outcomes.ClientClosed : null);
        HeaderRules.CopyResponse(answer, httpContext.Response.Headers);
        httpContext.Response.ContentLength = head.Length;
        if (attempt.Charge is { PriceId: not null } charge)
        {
            httpContext.Response.Headers[CostHeader] = charge.Cost.Total.ToString();
        }

        answer.Content = new ReadOnlyMemoryContent(head);
        return true;
    }

    /// <summary>A provider's own 4xx keeps its status and body; our credential is taken out of it.</summary>
    private async Task<bool> PassRefusalAsync(HttpContext httpContext, HttpResponseMessage answer, AnswerBody body)
    {
        var (head, _) = await ReadHeadAsync(body, answer.Content.Headers.ContentLength);
        var text = Scrub(Encoding.UTF8.GetString(head.Span));
        // Of options that the client sent itself, what is wrong may well be its own.
        UsageRejected = asksForUsage && answer.StatusCode == System.Net.HttpStatusCode.BadRequest
            && _call.Facts.Plan.StreamOptions is null && text.Contains("stream_options", StringComparison.Ordinal);
        await attempt.FailAsync(UsageRejected ? Outcomes.StreamOptionsRejected : Outcomes.ProviderError);
        if (UsageRejected)
        {
            return false;
        }

        HeaderRules.CopyResponse(answer, httpContext.Response.Headers);
        var content = Encoding.UTF8.GetBytes(text);
        httpContext.Response.ContentLength = content.Length;
        answer.Content = new ByteArrayContent(content);
        return true;
    }

    /// <summary>Redirects are never followed and 5xx bodies never shown; a 5xx that carries usage was billed.</summary>
    private async Task<bool> ReplaceFailureAsync(HttpContext httpContext, HttpResponseMessage answer, AnswerBody body)
    {
        var (head, _) = await ReadHeadAsync(body, answer.Content.Headers.ContentLength);
        if (OpenAiAnswer.Read(head.Span, _call.Endpoint, attempt.Intent.Model) is { Usage: not null } facts)
        {
            await attempt.SettleAsync(facts, Outcomes.ProviderError);
        }
        else
        {
            await attempt.FailAsync(Outcomes.ProviderError);
        }

        var provider = _call.Route.Provider.Id;
        var status = (int)answer.StatusCode;
        Refusal = status switch
        {
            // A proxy lies between the gateway and itself: the inner call was recognised and the outer one is the same request.
            StatusCodes.Status508LoopDetected when loop.IsOn(answer.Headers) => GatewayErrors.LoopDetected,
            503 or 529 => GatewayErrors.ProviderUnavailable(provider, $"answered {status}"),
            504 => new ApiError(504, "provider_error", "provider_timeout", $"The provider {provider} answered 504."),
            < 400 => GatewayErrors.ProviderError(provider, $"answered with a redirect ({status}), which is not followed"),
            _ => GatewayErrors.ProviderError(provider, $"answered {status}"),
        };
        HeaderRules.CopyRetryAdvice(answer.Headers, httpContext.Response.Headers);
        return false;
    }

    private bool Pass(HttpResponseMessage answer, MeteredStream stream)
    {
        Answer = stream;
        answer.Content = new StreamContent(stream);
        return true;
    }

    private string Scrub(string text) =>
        _call.Route.Provider.Config.Credential is { Length: > 0 } credential ? text.Replace(credential, "***", StringComparison.Ordinal) : text;

    private static bool MayHaveBody(HttpResponseMessage answer) => (int)answer.StatusCode is not (StatusCodes.Status204NoContent or StatusCodes.Status205ResetContent);

    private static bool IsEventStream(HttpResponseMessage answer) =>
        string.Equals(answer.Content.Headers.ContentType?.MediaType, "text/event-stream", StringComparison.OrdinalIgnoreCase);

    /// <summary>Compression was not asked for; a host that compresses all the same is read all the same.</summary>
    private static async Task<Stream> OpenAsync(HttpContent content, CancellationToken cancellationToken)
    {
        var stream = await content.ReadAsStreamAsync(cancellationToken);
        return content.Headers.ContentEncoding.LastOrDefault()?.ToLowerInvariant() switch
        {
            "gzip" => new GZipStream(stream, CompressionMode.Decompress),
            "br" => new BrotliStream(stream, CompressionMode.Decompress),
            "deflate" => new ZLibStream(stream, CompressionMode.Decompress),
            _ => stream,
        };
    }

    /// <returns>The first bytes, and whether they are all.</returns>
    private static async Task<(ReadOnlyMemory<byte> Head, bool Complete)> ReadHeadAsync(AnswerBody body, long? length)
    {
        var buffer = GC.AllocateUninitializedArray<byte>((int)Math.Clamp(length + 1 ?? 16 << 10, 1, WholeMax + 1));
        var filled = 0;
        while (filled <= WholeMax)
        {
            if (filled == buffer.Length)
            {
                Array.Resize(ref buffer, Math.Min(buffer.Length * 2, WholeMax + 1));
            }

            var read = await body.ReadAsync(buffer.AsMemory(filled));
            if (read == 0)
            {
                return (buffer.AsMemory(0, filled), true);
            }

            filled += read;
        }

        return (buffer.AsMemory(0, filled), false);
    }
}

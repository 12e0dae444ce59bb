using System.Net;
using System.Net.Http.Headers;

namespace Dvara.Providers.Mock;

/// <summary>The provider <c>mock</c>: answers inside the process in OpenAI's wire format, deterministically, whole and streamed.</summary>
/// <remarks>It trusts a request no more than a real provider does: what OpenAI would refuse, it refuses in OpenAI's words.</remarks>
public sealed class MockProviderHandler(TimeProvider time) : HttpMessageHandler
{
    /// <summary>Where a request carries what it scripts.</summary>
    public static readonly HttpRequestOptionsKey<MockScript?> Script = new("dvara.mock-script");

    /// <summary>Answers to one request. A body of a few megabytes can ask for a hundred million, and they are made in this process.</summary>
    private const int ChoicesMax = 2048;

    private static readonly MockScript Unscripted = new();

    /// <summary>What a call of the mock can be billed for: the scripted numbers themselves, and where none are given what bounds any provider.</summary>
    public static RequestBound Bound(RequestFacts facts)
    {
        var bound = RequestBound.Of(facts);
        return new(facts.Mock?.PromptTokens ?? bound.InputTokens, facts.Mock?.CompletionTokens ?? bound.OutputTokens);
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var path = request.RequestUri?.AbsolutePath ?? "";
        if (request.Method == HttpMethod.Get && path.EndsWith("/models", StringComparison.Ordinal))
        {
            return Json(request, HttpStatusCode.OK, MockWire.Models());
        }

        var body = request.Content is null ? [] : await request.Content.ReadAsByteArrayAsync(cancellationToken);
        if (request.Method != HttpMethod.Post || EndpointOf(path) is not { } endpoint)
        {
            return Error(request, 404, new MockError("The mock provider has no such path."));
        }

        var script = request.Options.TryGetValue(Script, out var given) && given is not null ? given : Unscripted;
        if (script.LatencyMs > 0)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(script.LatencyMs), time, cancellationToken);
        }

        return script.Status != 200
            ? Error(request, script.Status, new MockError($"The request asked the mock for status {script.Status}.", Code: "mock_status"))
            : Answer(request, endpoint, body, script);
    }

    private HttpResponseMessage Answer(HttpRequestMessage request, Endpoint endpoint, byte[] body, MockScript script)
    {
        if (!RequestReader.Read(body, endpoint, out var facts, out var problem))
        {
            return Error(request, problem.Status, new MockError(problem.Message, problem.Param, problem.Code));
        }

        if (facts.Choices > ChoicesMax)
        {
            return Error(request, 400, new MockError($"The request asks for {facts.Choices} answers; the mock gives at most {ChoicesMax}.", "n"));
        }

        var call = MockCall.Of(endpoint, body, facts, script, time.GetUtcNow());
        if (endpoint == Endpoint.Embeddings)
        {
            return MockEmbeddings.TryWrite(call, body, out var embeddings)
                ? Json(request, HttpStatusCode.OK, embeddings)
                : Error(request, 400, new MockError("dimensions or encoding_format is none that the model knows.", "dimensions"));
        }

        return facts.Stream ? Events(request, call) : Json(request, HttpStatusCode.OK, MockWire.Whole(call));
    }

    private static Endpoint? EndpointOf(string path)
    {
        foreach (var endpoint in Enum.GetValues<Endpoint>())
        {
            // In the enum's order: chat/completions ends like completions.
            if (path.EndsWith("/" + endpoint.UpstreamPath(), StringComparison.Ordinal))
            {
                return endpoint;
            }
        }

        return null;
    }

    private static string TypeOf(int status) => status switch
    {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    };

    private static HttpResponseMessage Error(HttpRequestMessage request, int status, MockError error) =>
        Json(request, (HttpStatusCode)status, MockWire.Error(TypeOf(status), error));

    private static HttpResponseMessage Json(HttpRequestMessage request, HttpStatusCode status, ReadOnlyMemory<byte> json)
    {
        var content = new ReadOnlyMemoryContent(json);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return new HttpResponseMessage(status) { Content = content, RequestMessage = request };
    }

    private static HttpResponseMessage Events(HttpRequestMessage request, MockCall call)
    {
        var content = new StreamContent(new MockEventStream(MockWire.Events(call)));
        content.Headers.ContentType = new MediaTypeHeaderValue("text/event-stream") { CharSet = "utf-8" };
        return new HttpResponseMessage(HttpStatusCode.OK) { Content = content, RequestMessage = request };
    }
}

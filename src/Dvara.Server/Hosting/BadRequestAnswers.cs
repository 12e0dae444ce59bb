using System.Diagnostics;
using System.Text;
using Dvara.Domain;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;

namespace Dvara.Server.Hosting;

/// <summary>
/// Answers, with an id and in the contract's shape, what Kestrel refuses before there is a request: broken framing, a request line or
/// headers over the limits, headers that take too long. Kestrel says when it does so, but would send a bare 4xx that nobody can add to.
/// A good request costs it a virtual call per write, and comparisons of a few names: of whatever ASP.NET could tell a listener about that
/// request, it asks whether anyone listens.
/// </summary>
internal sealed partial class BadRequestAnswers(TimeProvider clock, ILogger<BadRequestAnswers> logger) : IObserver<KeyValuePair<string, object?>>
{
    private const string BadRequest = "Microsoft.AspNetCore.Server.Kestrel.BadRequest";

    public static void Start(IServiceProvider services) => services.GetRequiredService<DiagnosticListener>().Subscribe(
        ActivatorUtilities.CreateInstance<BadRequestAnswers>(services), name => name == BadRequest);

    /// <summary>Wraps a connection, behind TLS where there is any.</summary>
    public static ConnectionDelegate Wrap(ConnectionDelegate next) => connection =>
    {
        var pipe = new AnswerPipe(connection.Transport);
        connection.Features.Set(pipe);
        connection.Transport = pipe;
        return next(connection);
    };

    public void OnNext(KeyValuePair<string, object?> value)
    {
        // One request of many on an HTTP/2 connection is ended by its stream; an answer that has begun, by the connection.
        if (value.Value is IFeatureCollection features && features.Get<AnswerPipe>() is { } pipe
            && features.Get<IHttpRequestFeature>() is { } request && !HttpProtocol.IsHttp2(request.Protocol)
            && features.Get<IHttpResponseFeature>() is { HasStarted: false } response)
        {
            var id = new RequestId(Uuid7.At(clock.GetUtcNow()));
            LogRefused(logger, response.StatusCode, id);
            pipe.Replace(AnswerOf(id.ToString(), response, isHead: HttpMethods.IsHead(request.Method)));
        }
    }

    public void OnCompleted()
    {
    }

    public void OnError(Exception error)
    {
    }

    private byte[] AnswerOf(string id, IHttpResponseFeature refused, bool isHead)
    {
        var status = refused.StatusCode;
        var allow = refused.Headers.Allow is { Count: > 0 } methods ? $"Allow: {methods}\r\n" : "";
        var body = ErrorAnswers.Of(status).ToJson(id);
        var head = $"HTTP/1.1 {status} {ReasonPhrases.GetReasonPhrase(status)}\r\nContent-Length: {body.Length}\r\nContent-Type: application/json\r\n"
            + $"{allow}Connection: close\r\nDate: {clock.GetUtcNow():R}\r\n{RequestIdMiddleware.Header}: {id}\r\n\r\n";
        return [.. Encoding.ASCII.GetBytes(head), .. isHead ? [] : body];
    }

    [LoggerMessage(1, LogLevel.Debug, "Refused with {Status} before there was a request; answered as {Request}.")]
    private static partial void LogRefused(ILogger logger, int status, RequestId request);
}

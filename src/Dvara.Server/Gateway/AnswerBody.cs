using System.IO.Compression;

namespace Dvara.Server.Gateway;

/// <summary>An answer's bytes as they come from the provider, with a bound on silence and on the whole.</summary>
internal sealed class AnswerBody : IDisposable
{
    private readonly Stream _inner;
    private readonly ClientWatch _watch;
    private readonly TimeProvider _clock;
    private readonly TimeSpan _idle;
    private readonly TimeSpan _total;
    private readonly long _started;

    // Of its own: when the provider falls silent the call ends, but not the answer, which still owes the client a word about it.
    private readonly CancellationTokenSource _patience;

    public AnswerBody(Stream inner, ClientWatch watch, GatewayOptions options, TimeProvider clock)
    {
        _inner = inner;
        _watch = watch;
        _clock = clock;
        _idle = TimeSpan.FromSeconds(options.IdleSeconds);
        _total = TimeSpan.FromSeconds(options.TotalSeconds);
        _started = clock.GetTimestamp();
        _patience = CancellationTokenSource.CreateLinkedTokenSource(watch.Stop, watch.Overdue);
    }

    /// <exception cref="AnswerBrokenException">The line broke, the provider fell silent, the client left and nobody drains, or the node stops.</exception>
    public async ValueTask<int> ReadAsync(Memory<byte> destination)
    {
        try
        {
            var read = _inner.ReadAsync(destination, _patience.Token);
            if (read.IsCompleted)
            {
                // What is there already needs no timer.
                return await read;
            }

            var left = _total - _clock.GetElapsedTime(_started);
            _patience.CancelAfter(left < _idle ? (left > TimeSpan.Zero ? left : TimeSpan.Zero) : _idle);
            var count = await read;
            // A client that takes its time is no silence of the provider's.
            _patience.CancelAfter(Timeout.InfiniteTimeSpan);
            return count;
        }
        catch (OperationCanceledException exception)
        {
            throw new AnswerBrokenException(_watch.Cause ?? Outcomes.ProviderTimeout, exception);
        }
        catch (Exception exception) when (exception is IOException or HttpRequestException or InvalidDataException || IsNoBrotli(exception))
        {
            throw new AnswerBrokenException(Outcomes.ConnectionReset, exception);
        }
    }

    public void Dispose()
    {
        _patience.Dispose();
        _inner.Dispose();
    }

    /// <summary>Bytes that are no Brotli are the provider's doing, though the decoder calls them an operation that is not valid.</summary>
    private bool IsNoBrotli(Exception exception) => _inner is BrotliStream && exception is InvalidOperationException;
}

/// <summary>The answer ended before its end.</summary>
internal sealed class AnswerBrokenException(string outcome, Exception inner) : Exception(outcome, inner)
{
    /// <summary>One of <see cref="Outcomes"/>.</summary>
    public string Outcome => Message;
}

/// <summary>Stable codes of a charge's <c>outcome</c>.</summary>
internal static class Outcomes
{
    public const string ClientClosed = "client_closed";
    public const string GatewayStopped = "gateway_stopped";
    public const string ProviderTimeout = "provider_timeout";
    public const string ConnectionReset = "connection_reset";
    public const string ProviderUnreachable = "provider_unreachable";
    public const string ProviderError = "provider_error";
    public const string UnreadableAnswer = "unreadable_answer";
    public const string StreamCut = "stream_cut";
    public const string StreamOptionsRejected = "stream_options_rejected";
    public const string InternalError = "internal_error";
}

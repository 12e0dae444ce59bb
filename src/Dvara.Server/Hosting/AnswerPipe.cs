using System.Buffers;
using System.IO.Pipelines;

namespace Dvara.Server.Hosting;

/// <summary>
/// A connection's transport, passed on as it is until <see cref="Replace"/>: then the next flush sends that answer instead of what Kestrel
/// wrote for it, and nothing that is written through <see cref="GetMemory"/> after it. Only Kestrel's loop over the requests of the
/// connection uses it.
/// </summary>
internal sealed class AnswerPipe(IDuplexPipe transport) : PipeWriter, IDuplexPipe
{
    private readonly PipeWriter _output = transport.Output;
    private byte[]? _answer;
    private byte[]? _dropped;

    public PipeReader Input => transport.Input;

    public PipeWriter Output => this;

    public override bool CanGetUnflushedBytes => _output.CanGetUnflushedBytes;

    public override long UnflushedBytes => _output.UnflushedBytes;

    public void Replace(byte[] answer) => (_answer, _dropped) = (answer, []);

    public override Memory<byte> GetMemory(int sizeHint = 0) => _dropped is null ? _output.GetMemory(sizeHint) : Dropped(sizeHint);

    public override Span<byte> GetSpan(int sizeHint = 0) => _dropped is null ? _output.GetSpan(sizeHint) : Dropped(sizeHint);

    public override void Advance(int bytes)
    {
        if (_dropped is null)
        {
            _output.Advance(bytes);
        }
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (_answer is { } answer)
        {
            _answer = null;
            _output.Write(answer);
        }

        return _output.FlushAsync(cancellationToken);
    }

    /// <summary>Not held back: what Kestrel writes whole is no answer of HTTP/1.1 (it tells a client that speaks HTTP/2 to speak 1.1).</summary>
    public override ValueTask<FlushResult> WriteAsync(ReadOnlyMemory<byte> source, CancellationToken cancellationToken = default) =>
        _output.WriteAsync(source, cancellationToken);

    public override void CancelPendingFlush() => _output.CancelPendingFlush();

    public override void Complete(Exception? exception = null) => _output.Complete(exception);

    public override ValueTask CompleteAsync(Exception? exception = null) => _output.CompleteAsync(exception);

    private byte[] Dropped(int sizeHint) => _dropped = _dropped!.Length > sizeHint ? _dropped : new byte[Math.Max(sizeHint + 1, 4096)];
}

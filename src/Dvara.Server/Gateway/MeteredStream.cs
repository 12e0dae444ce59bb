using System.Buffers;
using System.Text;
using Dvara.Providers.EventStream;

namespace Dvara.Server.Gateway;

/// <summary>
/// What the forwarder copies to the client: the provider's bytes as they come, then, once the charge is durable, what the meter held
/// back. A line that breaks ends in an error event without <c>[DONE]</c>, and what was delivered is charged as estimated.
/// </summary>
internal sealed class MeteredStream : Stream
{
    /// <summary>How often an open stream notes what it has delivered.</summary>
    private static readonly TimeSpan _checkpointEvery = TimeSpan.FromSeconds(2);

    private readonly AnswerBody _body;
    private readonly IStreamMeter _meter;
    private readonly Attempt _attempt;
    private readonly TimeProvider _clock;
    private readonly bool _events;
    private readonly ArrayBufferWriter<byte> _passed = new();
    private ReadOnlyMemory<byte> _owed;
    private long _checkpointed;
    private bool _ended;

    /// <param name="body">The provider's bytes.</param>
    /// <param name="first">Bytes that were read from it already.</param>
    /// <param name="meter">Reads usage, holds the end back.</param>
    /// <param name="attempt">Is settled at the end.</param>
    /// <param name="events">True for SSE: a broken line can say so.</param>
    /// <param name="clock">Spaces the checkpoints.</param>
    public MeteredStream(AnswerBody body, ReadOnlySpan<byte> first, IStreamMeter meter, Attempt attempt, bool events, TimeProvider clock)
    {
        _body = body;
        _meter = meter;
        _attempt = attempt;
        _events = events;
        _clock = clock;
        _checkpointed = clock.GetTimestamp();
        Pass(first);
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_owed.IsEmpty && !_ended)
        {
            try
            {
                var read = await _body.ReadAsync(buffer);
                if (buffer.IsEmpty)
                {
                    return 0;
                }

                if (read == 0)
                {
                    await EndAsync(null);
                }
                else
                {
                    Pass(buffer.Span[..read]);
                    CheckpointWhenDue();
                }
            }
            catch (AnswerBrokenException broken)
            {
                await EndAsync(broken.Outcome);
            }
        }

        var count = Math.Min(buffer.Length, _owed.Length);
        _owed[..count].CopyTo(buffer);
        _owed = _owed[count..];
        return count;
    }

    /// <summary>The forwarder gave up before the end (the client's side broke): charges what is known. After an end that failed it does nothing.</summary>
    public Task AbandonAsync(string outcome) => _ended ? Task.CompletedTask : EndAsync(outcome);

    /// <summary>The call is over. Apart from <see cref="Stream.Dispose()"/>, which the forwarder calls before the abandoned are charged.</summary>
    public void Release() => _meter.Dispose();

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _body.Dispose();
        }

        base.Dispose(disposing);
    }

    private void Pass(ReadOnlySpan<byte> upstream)
    {
        _passed.ResetWrittenCount();
        _meter.Feed(upstream, _passed);
        _owed = _passed.WrittenMemory;
    }

    private void CheckpointWhenDue()
    {
        if (_clock.GetElapsedTime(_checkpointed) < _checkpointEvery)
        {
            return;
        }

        // Not waited for: it bounds what a crash leaves unknown, and the client waits for its bytes.
        _checkpointed = _clock.GetTimestamp();
        _ = _attempt.CheckpointAsync(_meter.Facts(estimate: true));
    }

    /// <summary>(6), (7), then (8): the rest is owed to the client only when its charge is durable.</summary>
    private async Task EndAsync(string? broken)
    {
        _ended = true;
        _meter.Complete();
        var facts = _meter.Facts(estimate: true);

        // What breaks behind the terminating event breaks nothing; and hosts that end a stream properly with its finish reason or its usage,
        // but without [DONE], have said everything too. Others were cut.
        var cut = _meter.Terminated ? null : broken ?? (_meter.Finished || facts.Usage is not null ? null : Outcomes.StreamCut);
        if (cut is not null && facts.Usage is null && _attempt.Call.ToldAtEnd)
        {
            await _attempt.UnresolveAsync(cut, facts);
        }
        else
        {
            await _attempt.SettleAsync(facts, cut ?? (_meter.Failed ? Outcomes.ProviderError : null));
        }

        _owed = cut is not null && _events ? (byte[])[.. _meter.Tail.Span, .. ErrorEvent(cut)] : _meter.Tail;
    }

    private byte[] ErrorEvent(string outcome)
    {
        var (what, type, code) = outcome == Outcomes.GatewayStopped
            ? ("This node of the gateway is stopping and ended the answer", "server_error", "shutting_down")
            : ("The answer of the provider broke off", "provider_error", "provider_error");
        return Encoding.UTF8.GetBytes(
            $"data: {{\"error\":{{\"message\":\"{what} ({outcome}). What was delivered has been charged.\","
            + $"\"type\":\"{type}\",\"code\":\"{code}\",\"param\":null,\"request_id\":\"{_attempt.Call.RequestId}\"}}}}\n\n");
    }
}

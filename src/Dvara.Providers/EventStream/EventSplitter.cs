namespace Dvara.Providers.EventStream;

/// <summary>
/// Cuts a stream into events. An event that lies whole in one chunk is handed out where it lies; one that does not is gathered, up to a
/// bound. What is longer passes through in fragments that nobody reads.
/// </summary>
internal sealed class EventSplitter : IDisposable
{
    /// <summary>Bytes of one event. A sound or a picture in a stream has some hundred thousand.</summary>
    public const int EventMax = 2 * 1024 * 1024;

    private readonly PooledBuffer _pending = new();
    private EventBoundary _boundary = new();
    private bool _pendingHandedOut;

    /// <summary>True in the middle of an event that is longer than the bound.</summary>
    public bool InFragments { get; private set; }

    /// <summary>What was gathered of an event that has not ended.</summary>
    public ReadOnlySpan<byte> Rest => _pendingHandedOut ? default : _pending.Written;

    /// <summary>True when the rest is a whole event.</summary>
    public bool RestIsWhole => _boundary.EndsAtCr;

    /// <summary>
    /// Takes the next piece off the chunk; valid until the next call. False: the chunk is used up.
    /// </summary>
    /// <param name="whole">True: a whole event. False: a fragment of one that is too long.</param>
    public bool TryNext(ref ReadOnlySpan<byte> chunk, out ReadOnlySpan<byte> piece, out bool whole)
    {
        if (_pendingHandedOut)
        {
            _pending.Clear();
            _pendingHandedOut = false;
        }

        piece = default;
        whole = false;
        if (chunk.IsEmpty)
        {
            return false;
        }

        var end = _boundary.Find(chunk);
        var taken = chunk[..(end < 0 ? chunk.Length : end)];
        chunk = chunk[taken.Length..];
        return InFragments ? Continue(taken, end >= 0, out piece) : Gather(taken, end >= 0, out piece, out whole);
    }

    public void Dispose() => _pending.Dispose();

    private bool Continue(ReadOnlySpan<byte> taken, bool ended, out ReadOnlySpan<byte> piece)
    {
        InFragments = !ended;
        piece = taken;
        return true;
    }

    private bool Gather(ReadOnlySpan<byte> taken, bool ended, out ReadOnlySpan<byte> piece, out bool whole)
    {
        var tooLong = _pending.Length + taken.Length > EventMax;
        piece = taken;
        whole = ended && !tooLong;
        InFragments = tooLong && !ended;
        if (_pending.Length == 0 && (ended || tooLong))
        {
            return true;
        }

        _pending.Append(taken);
        piece = _pending.Written;
        _pendingHandedOut = ended || tooLong;
        return _pendingHandedOut;
    }
}

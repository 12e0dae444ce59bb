namespace Dvara.Providers.EventStream;

/// <summary>
/// Finds the blank line that ends an event, across chunks cut at any byte. Lines end in LF, CR or CRLF; a CR is only decided when the
/// byte behind it is known, so that where an event ends never depends on how the stream was cut.
/// </summary>
internal struct EventBoundary()
{
    private const byte Lf = (byte)'\n';
    private const byte Cr = (byte)'\r';

    private bool _lineIsEmpty = true;
    private bool _afterCr;
    private bool _blankBeforeCr;

    /// <summary>True when the bytes so far are a whole event unless an LF follows.</summary>
    public readonly bool EndsAtCr => _afterCr && _blankBeforeCr;

    /// <summary>Number of bytes up to the end of the event; -1: it goes on, and all bytes were read.</summary>
    public int Find(ReadOnlySpan<byte> bytes)
    {
        var at = 0;
        while (at < bytes.Length)
        {
            if (_afterCr)
            {
                _afterCr = false;
                at += bytes[at] == Lf ? 1 : 0;
                if (_blankBeforeCr)
                {
                    return at;
                }

                continue;
            }

            var length = bytes[at..].IndexOfAny(Lf, Cr);
            if (length < 0)
            {
                _lineIsEmpty = false;
                return -1;
            }

            var blank = _lineIsEmpty && length == 0;
            at += length + 1;
            _lineIsEmpty = true;
            _afterCr = bytes[at - 1] == Cr;
            _blankBeforeCr = blank;
            if (blank && !_afterCr)
            {
                return at;
            }
        }

        return -1;
    }
}

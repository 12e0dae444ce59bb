namespace Dvara.Providers.Requests;

/// <summary>Bounds the input from above without a tokenizer: a byte-level token has at least one byte.</summary>
internal struct InputBytes : IInputSink
{
    /// <summary>Allowance for the tokens that frame a message: role, start, end, and the start of the reply.</summary>
    private const int FrameBytes = 8;

    public long Bytes { get; private set; }

    public int Items { get; private set; }

    public int MediaParts { get; private set; }

    public void Item()
    {
        Items++;
        Bytes += FrameBytes;
    }

    public void Text(scoped in JsonCursor json) => Bytes += json.TextLength;

    public void Json(ReadOnlySpan<byte> json) => Bytes += json.Length;

    public void Media() => MediaParts++;

    public void TokenId() => Bytes++;
}

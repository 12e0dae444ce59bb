namespace Dvara.UnitTests.Gateway;

/// <summary>A provider's bytes: gives what it has, then throws or ends, and knows whether anyone let go of it.</summary>
internal sealed class ScriptedAnswer(byte[] bytes, Exception? failure = null) : Stream
{
    private int _given;

    public bool IsDisposed { get; private set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] buffer, int offset, int count)
    {
        var read = Math.Min(count, bytes.Length - _given);
        if (read == 0 && failure is not null)
        {
            throw failure;
        }

        bytes.AsSpan(_given, read).CopyTo(buffer.AsSpan(offset));
        _given += read;
        return read;
    }

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        IsDisposed = true;
        base.Dispose(disposing);
    }
}

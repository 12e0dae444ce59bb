using System.Buffers;

namespace Dvara.Providers.EventStream;

/// <summary>A growing buffer of pooled memory. What it handed out is valid until the next append.</summary>
internal sealed class PooledBuffer : IDisposable
{
    private byte[] _bytes = [];

    public int Length { get; private set; }

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, Length);

    public ReadOnlyMemory<byte> WrittenMemory => _bytes.AsMemory(0, Length);

    public void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Reserve(bytes.Length));
        Length += bytes.Length;
    }

    /// <summary>Room for at least so many bytes behind the written ones; <see cref="Advance"/> makes them written.</summary>
    public Span<byte> Reserve(int count)
    {
        if (_bytes.Length - Length < count)
        {
            var wider = ArrayPool<byte>.Shared.Rent(Math.Max(Length + count, _bytes.Length * 2));
            Written.CopyTo(wider);
            Free();
            _bytes = wider;
        }

        return _bytes.AsSpan(Length);
    }

    public void Advance(int count) => Length += count;

    public void Clear() => Length = 0;

    /// <summary>Drops the first bytes.</summary>
    public void Consume(int count)
    {
        Written[count..].CopyTo(_bytes);
        Length -= count;
    }

    public void Dispose()
    {
        Free();
        _bytes = [];
        Length = 0;
    }

    private void Free()
    {
        if (_bytes.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_bytes);
        }
    }
}

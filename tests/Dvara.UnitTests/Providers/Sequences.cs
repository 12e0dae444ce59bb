using System.Buffers;

namespace Dvara.UnitTests.Providers;

/// <summary>Bytes in several pieces, as a pipe hands them out.</summary>
internal static class Sequences
{
    public static ReadOnlySequence<byte> Of(ReadOnlyMemory<byte> bytes, params ReadOnlySpan<int> cuts)
    {
        var first = new Piece(default, 0);
        var last = first;
        for (var i = 0; !bytes.IsEmpty; i++)
        {
            var length = Math.Min(bytes.Length, cuts[i % cuts.Length]);
            last = last.Append(bytes[..length]);
            bytes = bytes[length..];
        }

        return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, long runningIndex)
        {
            Memory = memory;
            RunningIndex = runningIndex;
        }

        public Piece Append(ReadOnlyMemory<byte> memory)
        {
            var next = new Piece(memory, RunningIndex + Memory.Length);
            Next = next;
            return next;
        }
    }
}

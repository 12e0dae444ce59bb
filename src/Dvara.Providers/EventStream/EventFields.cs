namespace Dvara.Providers.EventStream;

/// <summary>The fields of one event that matter here.</summary>
internal readonly ref struct EventFields
{
    private EventFields(ReadOnlySpan<byte> data, int offset, bool hasData, bool isError)
    {
        Data = data;
        Offset = offset;
        HasData = hasData;
        IsError = isError;
    }

    /// <summary>Values of the <c>data</c> lines, joined by LF.</summary>
    public ReadOnlySpan<byte> Data { get; }

    /// <summary>Where the data stands in the event; -1 when it was joined from several lines.</summary>
    public int Offset { get; }

    public bool HasData { get; }

    /// <summary>True for <c>event: error</c>.</summary>
    public bool IsError { get; }

    /// <param name="joined">Scratch space for data of several lines; the result may point into it.</param>
    public static EventFields Read(ReadOnlySpan<byte> bytes, PooledBuffer joined)
    {
        ReadOnlySpan<byte> data = default;
        var offset = -1;
        var lines = 0;
        var isError = false;
        for (var start = bytes.StartsWith("\uFEFF"u8) ? 3 : 0; start < bytes.Length;)
        {
            var length = bytes[start..].IndexOfAny((byte)'\r', (byte)'\n');
            var line = length < 0 ? bytes[start..] : bytes.Slice(start, length);
            if (TryValue(line, "data"u8, out var value))
            {
                Gather(ref data, value, lines++, joined);
                offset = lines == 1 ? start + line.Length - value.Length : -1;
            }
            else if (TryValue(line, "event"u8, out value))
            {
                isError = value.SequenceEqual("error"u8);
            }

            // The LF of a CRLF reads as an empty line, which has no field.
            start += line.Length + 1;
        }

        return new EventFields(lines > 1 ? joined.Written : data, offset, lines > 0, isError);
    }

    private static void Gather(ref ReadOnlySpan<byte> data, ReadOnlySpan<byte> value, int before, PooledBuffer joined)
    {
        if (before == 0)
        {
            data = value;
            return;
        }

        if (before == 1)
        {
            joined.Clear();
            joined.Append(data);
        }

        joined.Append("\n"u8);
        joined.Append(value);
    }

    private static bool TryValue(ReadOnlySpan<byte> line, ReadOnlySpan<byte> field, out ReadOnlySpan<byte> value)
    {
        value = default;
        if (!line.StartsWith(field))
        {
            return false;
        }

        var rest = line[field.Length..];
        if (rest.IsEmpty)
        {
            return true;
        }

        value = rest.StartsWith(": "u8) ? rest[2..] : rest[1..];
        return rest[0] == (byte)':';
    }
}

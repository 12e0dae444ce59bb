using System.Buffers.Binary;

namespace Dvara.Domain;

/// <summary>
/// UUIDs of version 7 (RFC 9562) that sort by the clock's own tick: the milliseconds, then in the 12 bits behind the version how far
/// the millisecond had gone (its method 3, steps of 244 ns), then 62 random bits.
/// </summary>
public static class Uuid7
{
    public static Guid At(DateTimeOffset instant)
    {
        Span<byte> bytes = stackalloc byte[16];
        Guid.CreateVersion7(instant).TryWriteBytes(bytes, bigEndian: true, out _);
        var fraction = (instant.UtcTicks % TimeSpan.TicksPerMillisecond * 4096) / TimeSpan.TicksPerMillisecond;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[6..], (ushort)(0x7000 | fraction));
        return new Guid(bytes, bigEndian: true);
    }

    /// <summary>
    /// Below every id of an instant or later, above every earlier one, where instants are stamped in whole milliseconds: one between two
    /// of them means the later. Ids know no time before 1970.
    /// </summary>
    public static Guid FirstAt(DateTimeOffset instant)
    {
        var ticks = Math.Max(0, instant.UtcTicks - DateTimeOffset.UnixEpoch.Ticks);
        var milliseconds = (ticks + TimeSpan.TicksPerMillisecond - 1) / TimeSpan.TicksPerMillisecond;
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        BinaryPrimitives.WriteInt64BigEndian(bytes, milliseconds << 16);
        return new Guid(bytes, bigEndian: true);
    }
}

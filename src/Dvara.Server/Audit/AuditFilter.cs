using System.Buffers.Binary;
using Dvara.Domain;
using Dvara.Domain.Time;

namespace Dvara.Server.Audit;

/// <summary>What part of the trail is asked for. <see cref="From"/> belongs to it, <see cref="Before"/> does not.</summary>
internal sealed record AuditFilter
{
    public TenantId? TenantId { get; init; }

    /// <summary>Null: all types.</summary>
    public string? Type { get; init; }

    public required Guid From { get; init; }

    public required Guid Before { get; init; }

    /// <param name="window">Time of the events.</param>
    /// <param name="after">The last event of the page before, or null.</param>
    public static AuditFilter Of(TimeWindow window, Guid? after)
    {
        var end = FirstId(window.To);
        return new() { From = FirstId(window.From), Before = after < end ? after.Value : end };
    }

    /// <summary>The least id that an event at or after an instant can have: events are stamped in whole milliseconds.</summary>
    private static Guid FirstId(DateTimeOffset instant)
    {
        var milliseconds = Math.Max(0, instant.ToUnixTimeMilliseconds());
        if (milliseconds > 0 && instant.UtcTicks % TimeSpan.TicksPerMillisecond > 0)
        {
            milliseconds++;
        }

        Span<byte> id = stackalloc byte[16];
        id.Clear();
        BinaryPrimitives.WriteInt64BigEndian(id, milliseconds << 16);
        return new Guid(id, bigEndian: true);
    }
}

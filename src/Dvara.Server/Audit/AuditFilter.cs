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
        var end = Uuid7.FirstAt(window.To);
        return new() { From = Uuid7.FirstAt(window.From), Before = after < end ? after.Value : end };
    }
}

using Dvara.Domain.Time;
using Dvara.Domain;

namespace Dvara.Server.Tenants;

/// <summary>One customer or cost centre; the unit that is billed. Never deleted: its ledger and statements name it for ever.</summary>
internal sealed record Tenant
{
    public required TenantId Id { get; init; }

    /// <summary>For people; two tenants may share one.</summary>
    public required string Name { get; init; }

    public required TenantStatus Status { get; init; }

    /// <summary>A label; nothing is decided by it.</summary>
    public string? Region { get; init; }

    /// <summary>Keys with a meaning are those of <see cref="TenantMetadata"/>.</summary>
    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    /// <summary>Defaults for the tags of its requests; no two keys differ in case alone.</summary>
    public required IReadOnlyDictionary<string, string> Tags { get; init; }

    /// <summary>Whole milliseconds, as rows keep it.</summary>
    public required DateTimeOffset CreatedAt { get; init; }

    /// <summary>Whole milliseconds; at least one more with every change, so that it can stand in the ETag.</summary>
    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>The fields, by their names in the API, in which <paramref name="next"/> differs; its time of change is none.</summary>
    public IReadOnlyList<string> ChangesTo(Tenant next)
    {
        (string Field, bool Same)[] fields =
        [
            ("name", Name == next.Name),
            ("status", Status == next.Status),
            ("region", Region == next.Region),
            ("metadata", Same(Metadata, next.Metadata)),
            ("tags", Same(Tags, next.Tags)),
        ];
        return [.. fields.Where(f => !f.Same).Select(f => f.Field)];
    }

    /// <summary>The time of a change at <paramref name="now"/>: later than the last one even where the clock is not.</summary>
    public DateTimeOffset NextUpdate(DateTimeOffset now)
    {
        var at = now.FloorToMillisecond();
        return at > UpdatedAt ? at : UpdatedAt.AddMilliseconds(1);
    }

    private static bool Same(IReadOnlyDictionary<string, string> one, IReadOnlyDictionary<string, string> other) =>
        one.Count == other.Count
        && one.OrderBy(e => e.Key, StringComparer.Ordinal).SequenceEqual(other.OrderBy(e => e.Key, StringComparer.Ordinal));
}

using Dvara.Domain;
using Dvara.Domain.Budgets;

namespace Dvara.UnitTests.Budgets;

/// <summary>Caps that say what matters, and leave the rest to nobody.</summary>
internal static class SomeCaps
{
    public static readonly DateTimeOffset Start = new(2026, 4, 1, 0, 0, 0, TimeSpan.Zero);

    public static Cap Of(TenantId? tenant = null, KeyLineId? line = null, CapTag? tag = null, string? model = null) => new()
    {
        Id = new(Guid.NewGuid()),
        TenantId = tenant,
        // By which key of the line it is named matters to nobody.
        Key = line is { } known ? new CapKey(new(Guid.NewGuid()), known) : null,
        Tag = tag,
        Model = model,
        Name = "cap",
        Period = CapPeriod.Monthly,
        Limit = Usd.FromDecimal(10),
        CreatedAt = Start,
        UpdatedAt = Start,
    };
}

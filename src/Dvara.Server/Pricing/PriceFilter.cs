using Dvara.Domain;
using Dvara.Domain.Pricing;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Pricing;

/// <summary>Which versions a list is about. Everything given must match; absent matches all.</summary>
internal sealed record PriceFilter
{
    public string? Provider { get; init; }

    /// <summary>As the price names it, with its <c>*</c>; not a model that it would match.</summary>
    public string? Model { get; init; }

    /// <summary>Only this tenant's own prices.</summary>
    public TenantId? TenantId { get; init; }

    public PriceSource? Source { get; init; }

    /// <summary>Only versions valid then.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>A caller narrowed to a tenant: beside its own it sees the prices of everybody, and no other tenant's.</summary>
    public TenantId? VisibleTo { get; init; }

    public static PriceFilter Read(AdminQuery query, AdminActor caller)
    {
        var filter = new PriceFilter
        {
            Provider = query.Text("provider"),
            Model = query.Text("model"),
            TenantId = query.Tenant(),
            Source = query.Choice<PriceSource>("source"),
            VisibleTo = caller.TenantId,
        };
        if (query.Text("at") is not { } text)
        {
            return filter;
        }

        var (at, problem) = Instants.Parse(text);
        if (problem is not null)
        {
            query.Fail("at", problem);
        }

        return filter with { At = at };
    }

    /// <summary>Everything that decides which versions there are; a cursor of other filters is refused.</summary>
    public string CursorScope() => string.Join(
        '\n', "prices", Provider, Model, TenantId?.ToString(), Source?.ToString(), At is { } at ? Instants.Format(at) : null, VisibleTo?.ToString());
}

/// <summary>Where a page ended: prices made together share their instant, so the id decides among them.</summary>
internal readonly record struct PricePosition(DateTimeOffset CreatedAt, PriceId Id)
{
    public override string ToString() => $"{CreatedAt.ToUnixTimeMilliseconds()} {Id}";

    public static PricePosition Parse(string text)
    {
        var parts = text.Split(' ');
        return new(DateTimeOffset.FromUnixTimeMilliseconds(long.Parse(parts[0])), new(Guid.ParseExact(parts[1], "D")));
    }
}

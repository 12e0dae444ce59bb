using System.Collections.Concurrent;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Time;

namespace Dvara.Server.Budgets;

/// <summary>All of this silo's leases, by cap and period.</summary>
internal sealed class CapLeases
{
    private readonly ConcurrentDictionary<(CapId Cap, DateTimeOffset Start), CapLease> _all = new();

    // The lease of the period that a cap was last used in: most look-ups end here, without asking a calendar.
    private readonly ConcurrentDictionary<CapId, CapLease> _current = new();

    public IEnumerable<CapLease> All => _all.Values;

    public CapLease? Find(CapId cap, DateTimeOffset start) => _all.GetValueOrDefault((cap, start));

    /// <summary>The lease of the period that holds <paramref name="at"/>, new where there is none.</summary>
    public CapLease At(Cap cap, DateTimeOffset at)
    {
        if (_current.TryGetValue(cap.Id, out var current) && current.Period.Contains(at))
        {
            return current;
        }

        return _current[cap.Id] = Of(cap, cap.PeriodAt(at));
    }

    /// <summary>The lease of a period whose bounds are known.</summary>
    public CapLease Of(Cap cap, TimeWindow period) => _all.GetOrAdd((cap.Id, period.From), _ => new CapLease(cap, period));

    /// <summary>The lease of the period behind that of <paramref name="lease"/>.</summary>
    public CapLease Next(CapLease lease) => Of(lease.Cap, lease.Cap.PeriodAt(lease.Period.To));

    /// <summary>As <see cref="At"/>, and null where there is none.</summary>
    public CapLease? FindAt(Cap cap, DateTimeOffset at) =>
        _current.TryGetValue(cap.Id, out var current) && current.Period.Contains(at) ? current : Find(cap.Id, cap.PeriodAt(at).From);

    /// <summary>Caps have changed: what was decided by the old ones is asked again.</summary>
    public void Renew(CapBook book)
    {
        foreach (var lease in _all.Values)
        {
            if (book.Find(lease.Cap.Id) is { } cap && cap != lease.Cap)
            {
                lease.Cap = cap;
                lease.Expire();
                lease.OnChange();
            }
        }
    }

    /// <summary>Forgets leases whose period has been over for so long that no attempt of it runs any more.</summary>
    public void Forget(DateTimeOffset endedBefore)
    {
        foreach (var (key, lease) in _all)
        {
            if (lease.Period.To < endedBefore && lease.Slice.Held == Usd.Zero)
            {
                _all.TryRemove(key, out _);
                _current.TryRemove(new(key.Cap, lease));
            }
        }
    }
}

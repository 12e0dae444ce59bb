using System.Collections.Frozen;

namespace Dvara.Domain.Budgets;

/// <summary>An immutable snapshot of every cap, as of one generation.</summary>
public sealed class CapBook
{
    public static readonly CapBook Empty = new(0, []);

    private readonly Cap[] _ofNobody;
    private readonly FrozenDictionary<TenantId, Cap[]> _byTenant;
    private readonly FrozenDictionary<CapId, Cap> _byId;

    /// <param name="generation">Rises with every change of a cap.</param>
    /// <param name="caps">All that are not deleted.</param>
    public CapBook(long generation, IEnumerable<Cap> caps)
    {
        Generation = generation;
        _byId = caps.ToFrozenDictionary(cap => cap.Id);
        _ofNobody = [.. _byId.Values.Where(cap => cap.TenantId is null).OrderBy(cap => cap.Id.Value)];
        _byTenant = _byId.Values.Where(cap => cap.TenantId is not null)
            .GroupBy(cap => cap.TenantId!.Value)
            .ToFrozenDictionary(group => group.Key, group => group.OrderBy(cap => cap.Id.Value).ToArray());
    }

    public long Generation { get; }

    public bool IsEmpty => _byId.Count == 0;

    public Cap? Find(CapId id) => _byId.GetValueOrDefault(id);

    /// <summary>Caps that an attempt falls under, disabled ones too: what they have spent is counted all the same.</summary>
    public void Match(in CapScope scope, List<Cap> matching)
    {
        Add(_ofNobody, scope, matching);
        if (_byTenant.TryGetValue(scope.TenantId, out var caps))
        {
            Add(caps, scope, matching);
        }
    }

    /// <summary>Caps in force that calls of a key of <paramref name="line"/> can fall under, whatever their model and tags.</summary>
    public IReadOnlyList<Cap> Covering(TenantId tenant, KeyLineId line) =>
        [.. _ofNobody.Concat(_byTenant.GetValueOrDefault(tenant) ?? []).Where(cap => cap.Enabled && (cap.Key is not { } key || key.Line == line))];

    private static void Add(Cap[] caps, in CapScope scope, List<Cap> matching)
    {
        foreach (var cap in caps)
        {
            if (cap.Matches(scope))
            {
                matching.Add(cap);
            }
        }
    }
}

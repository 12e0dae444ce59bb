namespace Dvara.Server.Costs;

/// <summary>Adds cells up into groups. Every group is a part of <see cref="Total"/>, and together they are it.</summary>
/// <param name="dimensions">What to group by; none: the total alone.</param>
/// <param name="groupsMax">More distinct groups than this are not kept.</param>
internal sealed class CostTally(IReadOnlyList<CostDimension> dimensions, int groupsMax = CostTally.GroupsMax)
{
    /// <summary>What one answer may hold; beyond it, it is no summary.</summary>
    public const int GroupsMax = 10_000;

    private readonly Dictionary<string?[], Sums> _groups = new(new ByElements());

    public IReadOnlyList<CostDimension> Dimensions => dimensions;

    public Sums Total { get; private set; }

    /// <summary>There were too many groups; what has been added is not the whole.</summary>
    public bool IsOverfull { get; private set; }

    public void Add(CostCell cell)
    {
        Total += cell.Sums;
        if (dimensions.Count == 0)
        {
            return;
        }

        var key = new string?[dimensions.Count];
        for (var i = 0; i < key.Length; i++)
        {
            key[i] = dimensions[i].ValueOf(cell);
        }

        if (!_groups.TryGetValue(key, out var sums) && _groups.Count == groupsMax)
        {
            IsOverfull = true;
            return;
        }

        _groups[key] = sums + cell.Sums;
    }

    /// <summary>The groups that have anything in them: by time where time is a dimension, then the dearest first.</summary>
    public IEnumerable<(IReadOnlyList<string?> Key, Sums Sums)> Groups()
    {
        var time = dimensions.Select((dimension, i) => (dimension, i)).Where(d => d.dimension.IsTime).Select(d => d.i).ToArray();
        return _groups
            .Where(group => !group.Value.IsZero)
            .OrderBy(group => string.Join(' ', time.Select(i => group.Key[i])), StringComparer.Ordinal)
            .ThenByDescending(group => group.Value.CostPicoUsd)
            .ThenBy(group => string.Join('\0', group.Key), StringComparer.Ordinal)
            .Select(group => ((IReadOnlyList<string?>)group.Key, group.Value));
    }

    private sealed class ByElements : IEqualityComparer<string?[]>
    {
        public bool Equals(string?[]? x, string?[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(string?[] key)
        {
            var hash = default(HashCode);
            foreach (var part in key)
            {
                hash.Add(part, StringComparer.Ordinal);
            }

            return hash.ToHashCode();
        }
    }
}

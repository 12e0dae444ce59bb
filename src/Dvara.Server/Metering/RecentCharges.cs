namespace Dvara.Server.Metering;

/// <summary>The newest charges of this journal, in order, for shipping without a look into the file. Bounded: the oldest gives way.</summary>
/// <param name="capacity">Charges kept.</param>
/// <param name="before">The last place given before the first one added.</param>
internal sealed class RecentCharges(int capacity, long before)
{
    private readonly Lock _gate = new();
    private readonly JournaledCharge[] _ring = new JournaledCharge[capacity];
    private int _first;
    private int _count;
    private long _goneThrough = before;

    public void Add(JournaledCharge charge)
    {
        lock (_gate)
        {
            if (_count == capacity)
            {
                _goneThrough = _ring[_first].Seq;
                _first = (_first + 1) % capacity;
                _count--;
            }

            _ring[(_first + _count++) % capacity] = charge;
        }
    }

    /// <returns>The charges behind <paramref name="after"/>, or null where some of them are no longer here.</returns>
    public IReadOnlyList<JournaledCharge>? ReadAfter(long after, int limit)
    {
        lock (_gate)
        {
            if (after < _goneThrough)
            {
                return null;
            }

            var start = FirstAfter_NeedsLock(after);
            var charges = new JournaledCharge[Math.Min(limit, _count - start)];
            for (var i = 0; i < charges.Length; i++)
            {
                charges[i] = At_NeedsLock(start + i);
            }

            return charges;
        }
    }

    public JournaledCharge? OldestAfter(long after)
    {
        lock (_gate)
        {
            var start = FirstAfter_NeedsLock(after);
            return start < _count ? At_NeedsLock(start) : null;
        }
    }

    private JournaledCharge At_NeedsLock(int index) => _ring[(_first + index) % capacity];

    /// <summary>Places only grow, so the ring is sorted.</summary>
    private int FirstAfter_NeedsLock(long after)
    {
        var (low, high) = (0, _count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = At_NeedsLock(middle).Seq <= after ? (middle + 1, high) : (low, middle);
        }

        return low;
    }
}

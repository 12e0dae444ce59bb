using Dvara.Domain;
using Dvara.Domain.Metering;

namespace Dvara.Server.Metering;

/// <summary>The newest charges of this journal, in order, found by place or by request. Bounded: the oldest gives way.</summary>
/// <param name="capacity">Charges kept.</param>
/// <param name="before">The last place given before the first one added.</param>
internal sealed class RecentCharges(int capacity, long before)
{
    private readonly Lock _gate = new();
    private readonly Node[] _ring = new Node[capacity];
    private readonly Dictionary<RequestId, Node> _byRequest = new();
    private int _first;
    private int _count;
    private long _goneThrough = before;

    public void Add(JournaledCharge charge)
    {
        lock (_gate)
        {
            if (_count == capacity)
            {
                DropFirst_NeedsLock();
            }

            var request = charge.Charge.Intent.RequestId;
            var node = new Node(charge) { Older = _byRequest.GetValueOrDefault(request) };
            _byRequest[request] = node;
            _ring[(_first + _count++) % capacity] = node;
        }
    }

    /// <returns>Oldest first.</returns>
    public IReadOnlyList<Charge> Find(RequestId request)
    {
        lock (_gate)
        {
            if (!_byRequest.TryGetValue(request, out var newest))
            {
                return [];
            }

            var found = new List<Charge>(1);
            for (var node = newest; node is not null; node = node.Older)
            {
                found.Add(node.Charge.Charge);
            }

            found.Reverse();
            return found;
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
                charges[i] = At_NeedsLock(start + i).Charge;
            }

            return charges;
        }
    }

    public JournaledCharge? OldestAfter(long after)
    {
        lock (_gate)
        {
            var start = FirstAfter_NeedsLock(after);
            return start < _count ? At_NeedsLock(start).Charge : null;
        }
    }

    private Node At_NeedsLock(int index) => _ring[(_first + index) % capacity];

    /// <summary>Places only grow, so the ring is sorted.</summary>
    private int FirstAfter_NeedsLock(long after)
    {
        var (low, high) = (0, _count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            (low, high) = At_NeedsLock(middle).Charge.Seq <= after ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private void DropFirst_NeedsLock()
    {
        var gone = _ring[_first];
        _ring[_first] = null!;
        _first = (_first + 1) % capacity;
        _count--;
        _goneThrough = gone.Charge.Seq;
        var request = gone.Charge.Charge.Intent.RequestId;
        var newest = _byRequest[request];
        if (newest == gone)
        {
            _byRequest.Remove(request);
            return;
        }

        // A request has few attempts: its oldest is at the end of a short chain.
        var node = newest;
        while (node.Older != gone)
        {
            node = node.Older!;
        }

        node.Older = null;
    }

    private sealed class Node(JournaledCharge charge)
    {
        public JournaledCharge Charge => charge;

        /// <summary>The charge of the same request before this one.</summary>
        public Node? Older { get; set; }
    }
}

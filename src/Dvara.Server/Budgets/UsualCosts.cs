using System.Collections.Concurrent;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Metering;

namespace Dvara.Server.Budgets;

/// <summary>What calls of a key (of its whole line) and model usually cost: the 95th percentile of its last 100 charges on this silo. Elastic caps hold that.</summary>
internal sealed class UsualCosts
{
    private const int Kept = 100;

    /// <summary>Pairs of key and model that are remembered; beyond, new ones go by their bounds.</summary>
    private const int PairsMax = 10_000;

    private readonly ConcurrentDictionary<(KeyLineId Key, string Model), History> _histories = new();

    public void Note(in CapScope scope, Charge charge)
    {
        if (charge.State is not (ChargeState.Settled or ChargeState.Estimated))
        {
            return;
        }

        var pair = (scope.KeyLine, scope.Model);
        if (_histories.TryGetValue(pair, out var history) || _histories.Count < PairsMax)
        {
            (history ?? _histories.GetOrAdd(pair, _ => new History())).Add(charge.Cost.Total);
        }
    }

    /// <returns>Null: nothing of the kind has been charged yet.</returns>
    public Usd? Of(in CapScope scope) => _histories.GetValueOrDefault((scope.KeyLine, scope.Model))?.Usual;

    private sealed class History
    {
        private readonly Lock _gate = new();
        private readonly Usd[] _last = new Usd[Kept];
        private int _count;

        /// <summary>At least a pico-dollar: a model that is free now and then must not make an exhausted cap look as if it had room. Null: nothing yet.</summary>
        public Usd? Usual
        {
            get
            {
                lock (_gate)
                {
                    if (_count == 0)
                    {
                        return null;
                    }

                    var sorted = _last[..Math.Min(_count, Kept)];
                    Array.Sort(sorted);
                    var usual = sorted[sorted.Length * 95 / 100];
                    return usual > Usd.Zero ? usual : Usd.FromPico(1);
                }
            }
        }

        public void Add(Usd cost)
        {
            lock (_gate)
            {
                _last[_count % Kept] = cost;
                // Stays within two rounds, so that it never overflows.
                _count = _count + 1 < 2 * Kept ? _count + 1 : Kept;
            }
        }
    }
}

using System.Collections.Frozen;

namespace Dvara.Domain.Pricing;

/// <summary>
/// An immutable snapshot of every price version. Lookup order: the tenant's own rate, then CUSTOM, then BUILTIN; in each an exact
/// model before the longest prefix, and of several versions the newest effective one.
/// </summary>
public sealed class PriceBook
{
    public static readonly PriceBook Empty = new([]);

    private readonly FrozenDictionary<Key, Shelf> _shelves;

    public PriceBook(IEnumerable<Price> prices)
    {
        All = [.. prices];
        _shelves = All
            .GroupBy(p => new Key(p.TenantId, p.TenantId is null ? p.Source : PriceSource.Custom, p.Provider))
            .ToFrozenDictionary(g => g.Key, g => new Shelf(g));
    }

    public IReadOnlyList<Price> All { get; }

    /// <summary>The price valid at <paramref name="intentTime"/>, or null: then the usage is unpriced, never free.</summary>
    public Price? Find(TenantId tenant, string provider, string model, DateTimeOffset intentTime) =>
        Find(new Key(tenant, PriceSource.Custom, provider), model, intentTime)
        ?? Find(new Key(null, PriceSource.Custom, provider), model, intentTime)
        ?? Find(new Key(null, PriceSource.Builtin, provider), model, intentTime);

    /// <summary>
    /// The dearest rates of anything that <paramref name="provider"/> has a price for: what a model without one costs at most, as far as can be
    /// said. Null: nothing of it is priced.
    /// </summary>
    public Price? FindDearest(TenantId tenant, string provider, DateTimeOffset intentTime)
    {
        Price? dearest = null;
        foreach (var price in All)
        {
            if (price.Provider == provider && (price.TenantId is null || price.TenantId == tenant) && price.IsEffectiveAt(intentTime))
            {
                dearest = dearest is null ? price : dearest with
                {
                    InputRate = Math.Max(dearest.InputRate, price.InputRate),
                    OutputRate = Math.Max(dearest.OutputRate, price.OutputRate),
                    CachedInputRate = Larger(dearest.CachedInputRate, price.CachedInputRate),
                    CacheWriteRate = Larger(dearest.CacheWriteRate, price.CacheWriteRate),
                    ReasoningRate = Larger(dearest.ReasoningRate, price.ReasoningRate),
                    PerRequest = dearest.PerRequest > price.PerRequest ? dearest.PerRequest : price.PerRequest ?? dearest.PerRequest,
                    MaxOutputTokens = null,
                };
            }
        }

        return dearest is null ? null : dearest with { MaxOutputTokens = null };
    }

    private static long? Larger(long? left, long? right) => left > right || right is null ? left : right;

    private Price? Find(Key key, string model, DateTimeOffset intentTime) =>
        _shelves.TryGetValue(key, out var shelf) ? shelf.Find(model, intentTime) : null;

    private readonly record struct Key(TenantId? Tenant, PriceSource Source, string Provider);

    private sealed class Shelf
    {
        private readonly FrozenDictionary<string, Price[]> _exact;
        private readonly (string Prefix, Price[] Versions)[] _prefixes;

        public Shelf(IEnumerable<Price> prices)
        {
            var byModel = prices.GroupBy(p => p.Model, StringComparer.Ordinal).ToList();
            _exact = byModel.Where(g => !g.Key.EndsWith('*')).ToFrozenDictionary(g => g.Key, NewestFirst, StringComparer.Ordinal);
            _prefixes = [.. byModel
                .Where(g => g.Key.EndsWith('*'))
                .Select(g => (g.Key[..^1], NewestFirst(g)))
                .OrderByDescending(p => p.Item1.Length)];
        }

        public Price? Find(string model, DateTimeOffset at)
        {
            if (_exact.TryGetValue(model, out var versions) && Effective(versions, at) is { } exact)
            {
                return exact;
            }

            foreach (var (prefix, candidates) in _prefixes)
            {
                if (model.StartsWith(prefix, StringComparison.Ordinal) && Effective(candidates, at) is { } price)
                {
                    return price;
                }
            }

            return null;
        }

        private static Price[] NewestFirst(IEnumerable<Price> versions) =>
            [.. versions.OrderByDescending(p => p.EffectiveFrom).ThenByDescending(p => p.Id.Value)];

        private static Price? Effective(Price[] versions, DateTimeOffset at)
        {
            foreach (var price in versions)
            {
                if (price.IsEffectiveAt(at))
                {
                    return price;
                }
            }

            return null;
        }
    }
}

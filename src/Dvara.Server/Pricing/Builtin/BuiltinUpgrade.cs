using Dvara.Domain;

namespace Dvara.Server.Pricing.Builtin;

/// <summary>
/// What must change so that from a boundary on the stored prices are the shipped ones. The past stays as it was rated; a model that had no
/// shipped price gets its whole history. Pure: the same list applied again changes nothing.
/// </summary>
/// <param name="Open">New versions.</param>
/// <param name="End">Versions that end elsewhere than stored; null: open.</param>
/// <param name="Withdraw">Versions that have not begun and are no longer planned.</param>
/// <param name="Refresh">Versions that rate as before, with what else the list says of them now.</param>
internal sealed record BuiltinUpgrade(
    IReadOnlyList<PriceVersion> Open,
    IReadOnlyList<(PriceId Id, DateTimeOffset? EndsAt)> End,
    IReadOnlyList<PriceId> Withdraw,
    IReadOnlyList<(PriceId Id, PriceVersion Shipped)> Refresh)
{
    public bool IsEmpty => Open.Count + End.Count + Withdraw.Count + Refresh.Count == 0;

    /// <param name="stored">Every stored shipped version.</param>
    /// <param name="list">The list of this program.</param>
    /// <param name="boundary">The earliest instant at which a price may change.</param>
    /// <param name="now">When the new versions are made.</param>
    public static BuiltinUpgrade Plan(
        IEnumerable<PriceVersion> stored, BuiltinPriceList list, DateTimeOffset boundary, DateTimeOffset now)
    {
        var (open, end) = (new List<PriceVersion>(), new List<(PriceId, DateTimeOffset?)>());
        var (withdraw, refresh) = (new List<PriceId>(), new List<(PriceId, PriceVersion)>());
        var before = stored.GroupBy(version => version.Key).ToDictionary(group => group.Key, group => group.ToList());
        var after = list.Timelines(now);
        foreach (var (key, shipped) in after.Where(timeline => !before.ContainsKey(timeline.Key)))
        {
            open.AddRange(shipped);
        }

        foreach (var (key, versions) in before)
        {
            var wanted = after.TryGetValue(key, out var shipped) ? shipped.Where(Reaches).ToList() : [];
            foreach (var version in versions.Where(Reaches))
            {
                var match = wanted.Find(candidate => candidate.RatesAs(version) && StartOf(candidate) == StartOf(version));
                if (match is null)
                {
                    Leave(version);
                    continue;
                }

                wanted.Remove(match);
                Keep(version, match);
            }

            open.AddRange(wanted.Select(version => BuiltinPriceList.From(version, StartOf(version))));
        }

        return new(open, end, withdraw, refresh);

        bool Reaches(PriceVersion version) => !(version.Price.EffectiveTo <= boundary);

        DateTimeOffset StartOf(PriceVersion version) => version.Price.EffectiveFrom > boundary ? version.Price.EffectiveFrom : boundary;

        void Leave(PriceVersion version)
        {
            if (version.Price.EffectiveFrom >= boundary)
            {
                withdraw.Add(version.Price.Id);
            }
            else
            {
                end.Add((version.Price.Id, boundary));
            }
        }

        void Keep(PriceVersion version, PriceVersion match)
        {
            if (version.EndsAt != match.EndsAt)
            {
                end.Add((version.Price.Id, match.EndsAt));
            }

            if (version.SourceUrl != match.SourceUrl || version.CheckedOn != match.CheckedOn || version.Price.MaxOutputTokens != match.Price.MaxOutputTokens)
            {
                refresh.Add((version.Price.Id, match));
            }
        }
    }
}

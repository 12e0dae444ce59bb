using Dvara.Domain.Pricing;
using Dvara.Domain.Time;
using Dvara.Domain;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Pricing;

/// <summary>The versions of every custom key, and those that one change opens. Nothing is written here.</summary>
internal sealed class PriceTimelines
{
    private readonly Dictionary<PriceKey, List<PriceVersion>> _versions;
    private readonly Dictionary<PriceKey, DateTimeOffset?> _earliest = [];
    private readonly DateTimeOffset _now;

    public PriceTimelines(IEnumerable<PriceVersion> stored, DateTimeOffset now)
    {
        _versions = stored.GroupBy(version => version.Key).ToDictionary(group => group.Key, group => group.ToList());
        _now = now;
    }

    public IReadOnlyList<Price> Of(PriceKey key) => [.. VersionsOf(key).Select(version => version.Price)];

    /// <returns>The version, or where it would have been opened and why it is not.</returns>
    public (PriceVersion? Version, PriceOpening Opening) Open(PriceDraft draft)
    {
        var key = KeyOf(draft);
        var opening = PriceSchedule.Open(Of(key), EarliestOf(key), draft.EffectiveFrom, draft.EffectiveTo, _now);
        if (opening.Refusal != PriceRefusal.None)
        {
            return (null, opening);
        }

        var version = draft.ToVersion(new PriceId(Uuid7.At(_now)), PriceSource.Custom, opening.From, _now.FloorToMillisecond());
        VersionsOf(key).Add(version);
        return (version, opening);
    }

    /// <summary>Opens a version per row. A row that says what is in force anyway opens none, so that a file can be imported again.</summary>
    public (List<ImportedPrice> Prices, List<FieldError> Errors) Open(IReadOnlyList<PriceRow> rows)
    {
        var (prices, errors) = (new List<ImportedPrice>(rows.Count), new List<FieldError>());
        foreach (var row in rows)
        {
            var key = KeyOf(row.Draft);
            var isNew = EarliestOf(key) is null;
            if (Same(row.Draft, key) is { } same)
            {
                prices.Add(new(row.Number, ImportOutcome.Unchanged, same));
                continue;
            }

            var (version, opening) = Open(row.Draft);
            if (version is null)
            {
                var (field, message) = PriceRefusals.Describe(opening);
                errors.Add(PriceImport.InRow(row.Number, new(field, message)));
                continue;
            }

            prices.Add(new(row.Number, isNew ? ImportOutcome.Created : ImportOutcome.Changed, version));
        }

        return (prices, errors);
    }

    private static PriceKey KeyOf(PriceDraft draft) => new(PriceSource.Custom, draft.TenantId, draft.Provider, draft.Model);


    private List<PriceVersion> VersionsOf(PriceKey key) =>
        _versions.TryGetValue(key, out var versions) ? versions : _versions[key] = [];

    /// <summary>By what was there before this change: rows of one file may tell the whole history of a new key.</summary>
    private DateTimeOffset? EarliestOf(PriceKey key) =>
        _earliest.TryGetValue(key, out var earliest) ? earliest : _earliest[key] = PriceSchedule.Earliest(Of(key), _now);

    private PriceVersion? Same(PriceDraft draft, PriceKey key)
    {
        var start = draft.EffectiveFrom ?? EarliestOf(key);
        var version = VersionsOf(key).Find(candidate => draft.EffectiveFrom is null
            ? start is { } at && candidate.Price.IsEffectiveAt(at)
            : candidate.Price.EffectiveFrom == start);
        var asked = draft.ToVersion(default, PriceSource.Custom, _now, _now);
        return version is not null
            && version.RatesAs(asked)
            && version.Price.MaxOutputTokens == draft.MaxOutputTokens
            && (draft.EffectiveTo == version.EndsAt || draft.EffectiveTo == version.Price.EffectiveTo)
                ? version
                : null;
    }
}

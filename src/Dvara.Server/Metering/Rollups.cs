using System.Data.Common;
using Dvara.Domain;

namespace Dvara.Server.Metering;

/// <summary>Adds the really new rows of a batch up and feeds this journal's share of the rollups.</summary>
internal sealed class Rollups(JournalId journal, int tagValuesMax)
{
    private const long MinuteMs = 60_000;
    private const long HourMs = 60 * MinuteMs;
    private const long DayMs = 24 * HourMs;

    private readonly Dictionary<RollupKey, RollupSums> _hours = new();
    private readonly Dictionary<RollupKey, RollupSums> _minutes = new();
    private readonly Dictionary<RollupKey, RollupSums> _tagHours = new();
    private readonly HashSet<string> _tagsSeen = new(StringComparer.Ordinal);

    /// <exception cref="OverflowException">A sum does not fit 64 bits.</exception>
    public void Add(ChargeRow row)
    {
        var intent = row.Charge.Intent;
        var at = intent.AttemptId.IntentTime.ToUnixTimeMilliseconds();
        var hour = new RollupKey(
            at - (at % HourMs), intent.TenantId.Value, intent.ApiKeyId.Value, intent.Provider, row.Charge.ServedModel, null, null);
        Add(_hours, hour, row);
        Add(_minutes, hour with { StartMs = at - (at % MinuteMs) }, row);

        // Tag keys match case-insensitively: two spellings in one charge are one tag, the first counts.
        _tagsSeen.Clear();
        foreach (var (key, value) in intent.Tags)
        {
            var tag = key.ToLowerInvariant();
            if (_tagsSeen.Add(tag))
            {
                Add(_tagHours, hour with { TagKey = tag, TagValue = value }, row);
            }
        }
    }

    public async Task WriteAsync(DbTransaction transaction)
    {
        await RollupStore.AddToHoursAsync(transaction, journal, _hours);
        await RollupStore.AddToMinutesAsync(transaction, journal, _minutes);
        await GuardTagsAsync(transaction);
        await RollupStore.AddToTagHoursAsync(transaction, journal, _tagHours);
    }

    /// <summary>
    /// A tag with a value per request would make a rollup row per request. A key that has more values a day than the guard allows is
    /// marked, and readers go to the rows for that day.
    /// </summary>
    private async Task GuardTagsAsync(DbTransaction transaction)
    {
        if (_tagHours.Count == 0)
        {
            return;
        }

        var tags = _tagHours.Keys.Select(key => (Tag: TagOf(key), Value: key.TagValue!)).Distinct().ToList();
        var beyond = await RollupStore.ReadHighCardinalityAsync(transaction, tags.Min(tag => tag.Tag.DayMs), tags.Max(tag => tag.Tag.DayMs));
        // One value more than allowed says it all.
        tags = [.. tags.Where(tag => !beyond.Contains(tag.Tag)).GroupBy(tag => tag.Tag).SelectMany(tag => tag.Take(tagValuesMax + 1))];
        foreach (var (tag, values) in await RollupStore.AddTagValuesAsync(transaction, journal, tags))
        {
            if (values > tagValuesMax)
            {
                await RollupStore.MarkHighCardinalityAsync(transaction, journal, tag);
                beyond.Add(tag);
            }
        }

        foreach (var key in _tagHours.Keys.Where(key => beyond.Contains(TagOf(key))).ToList())
        {
            _tagHours.Remove(key);
        }
    }

    private static TagDay TagOf(RollupKey key) => new(new TenantId(key.Tenant), key.StartMs - (key.StartMs % DayMs), key.TagKey!);

    private static void Add(Dictionary<RollupKey, RollupSums> sums, RollupKey key, ChargeRow row)
    {
        if (!sums.TryGetValue(key, out var sum))
        {
            sums.Add(key, sum = new RollupSums());
        }

        sum.Add(row);
    }
}

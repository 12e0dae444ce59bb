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
        RollupStore.AddToHours(transaction, journal, _hours);
        RollupStore.AddToMinutes(transaction, journal, _minutes);
        await GuardTagsAsync(transaction);
        RollupStore.AddToTagHours(transaction, journal, _tagHours);
    }

    /// <summary>
    /// A tag with a value per request would make a rollup row per request. A key that has more values a day than the guard allows is
    /// marked, and readers go to the rows for that day.
    /// </summary>
    private async Task GuardTagsAsync(DbTransaction transaction)
    {
        foreach (var perDay in _tagHours.Keys.GroupBy(k => (k.Tenant, Day: k.StartMs - (k.StartMs % DayMs), Key: k.TagKey!)).ToList())
        {
            var (tenant, day, key) = (new TenantId(perDay.Key.Tenant), perDay.Key.Day, perDay.Key.Key);
            if (!await IsWithinGuardAsync(transaction, tenant, day, key, perDay.Select(k => k.TagValue!).Distinct()))
            {
                foreach (var rollup in perDay)
                {
                    _tagHours.Remove(rollup);
                }
            }
        }
    }

    private async Task<bool> IsWithinGuardAsync(DbTransaction transaction, TenantId tenant, long day, string key, IEnumerable<string> values)
    {
        if (await RollupStore.IsHighCardinalityAsync(transaction, tenant, day, key))
        {
            return false;
        }

        foreach (var value in values)
        {
            if (await RollupStore.AddTagValueAsync(transaction, journal, tenant, day, key, value) > tagValuesMax)
            {
                await RollupStore.MarkHighCardinalityAsync(transaction, journal, tenant, day, key);
                return false;
            }
        }

        return true;
    }

    private static void Add(Dictionary<RollupKey, RollupSums> sums, RollupKey key, ChargeRow row)
    {
        if (!sums.TryGetValue(key, out var sum))
        {
            sums.Add(key, sum = new RollupSums());
        }

        sum.Add(row);
    }
}

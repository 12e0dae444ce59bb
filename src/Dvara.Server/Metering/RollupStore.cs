using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Storage;

namespace Dvara.Server.Metering;

/// <summary>A tag key of one tenant on one day, for the guard.</summary>
internal readonly record struct TagDay(TenantId Tenant, long DayMs, string Key);

/// <summary>The SQL of the rollups. Every row has its writer's journal in its key, so that no writer waits for another.</summary>
internal static class RollupStore
{
    private static readonly string[] Measures =
    [
        "requests", "uncached_input", "cache_read", "cache_write", "output", "reasoning", "input_cost_pico_usd", "output_cost_pico_usd",
        "estimated_requests", "unpriced_requests", "unresolved_requests", "unresolved_lower_bound_pico_usd", "failed_attempts",
    ];

    private static readonly (string Name, BulkType Type)[] Keys =
    [
        ("tenant_id", BulkType.Id), ("start_ms", BulkType.Number), ("api_key_id", BulkType.Id), ("provider", BulkType.Text),
        ("model", BulkType.Text), ("journal_id", BulkType.Id),
    ];

    private static readonly (string Name, BulkType Type)[] TagKeys = [.. Keys, ("tag_key", BulkType.Text), ("tag_value", BulkType.Text)];

    private static readonly BulkInsert Hours = AddTo("rollup_hours", Keys);

    private static readonly BulkInsert Minutes = AddTo("rollup_minutes", Keys);

    private static readonly BulkInsert TagHours = AddTo("rollup_tag_hours", TagKeys);

    private static readonly BulkInsert TagValues = new(
        "tag_values",
        [("tenant_id", BulkType.Id), ("day_ms", BulkType.Number), ("tag_key", BulkType.Text), ("tag_value", BulkType.Text), ("journal_id", BulkType.Id)],
        "(tenant_id, tag_key, day_ms, journal_id, tag_value) DO NOTHING",
        "tenant_id", "day_ms", "tag_key", "tag_value");

    private const string CountTagValuesSql = """
        SELECT count(*) FROM tag_values WHERE tenant_id = @tenant AND tag_key = @key AND day_ms = @dayMs AND journal_id = @journal
        """;

    private const string MarkHighSql = """
        INSERT INTO high_cardinality_tags (tenant_id, day_ms, tag_key, journal_id) VALUES (@tenant, @dayMs, @key, @journal)
        ON CONFLICT (tenant_id, tag_key, day_ms, journal_id) DO NOTHING
        """;

    private const string ReadHighSql = """
        SELECT tenant_id AS tenant, day_ms AS dayMs, tag_key AS key FROM high_cardinality_tags WHERE day_ms BETWEEN @first AND @last
        """;

    private const string DeleteMinutesSql = "DELETE FROM rollup_minutes WHERE start_ms < @before AND journal_id = @journal";

    private const string DeleteTagValuesSql = "DELETE FROM tag_values WHERE day_ms < @before AND journal_id = @journal";

    private const string DeleteClosedMinutesSql = """
        DELETE FROM rollup_minutes WHERE start_ms < @before AND journal_id IN (SELECT id FROM journals WHERE state <> 'OPEN')
        """;

    private const string DeleteClosedTagValuesSql = """
        DELETE FROM tag_values WHERE day_ms < @before AND journal_id IN (SELECT id FROM journals WHERE state <> 'OPEN')
        """;

    public static Task AddToHoursAsync(DbTransaction transaction, JournalId journal, Dictionary<RollupKey, RollupSums> sums) =>
        Hours.RunAsync(transaction, [.. sums.Select(sum => RowOf(sum.Key, journal, sum.Value))]);

    public static Task AddToMinutesAsync(DbTransaction transaction, JournalId journal, Dictionary<RollupKey, RollupSums> sums) =>
        Minutes.RunAsync(transaction, [.. sums.Select(sum => RowOf(sum.Key, journal, sum.Value))]);

    public static Task AddToTagHoursAsync(DbTransaction transaction, JournalId journal, Dictionary<RollupKey, RollupSums> sums) =>
        TagHours.RunAsync(transaction, [.. sums.Select(sum => RowOf(sum.Key, journal, sum.Value))]);

    /// <summary>The tag keys that are beyond the guard on any of the days.</summary>
    public static async Task<HashSet<TagDay>> ReadHighCardinalityAsync(DbTransaction transaction, long firstDayMs, long lastDayMs) =>
        [.. (await transaction.Connection!.QueryAsync<(TenantId Tenant, long DayMs, string Key)>(
            ReadHighSql, new { first = firstDayMs, last = lastDayMs }, transaction)).Select(row => new TagDay(row.Tenant, row.DayMs, row.Key))];

    /// <returns>The tag keys that have got a value they did not have, and how many they have now.</returns>
    public static async Task<List<(TagDay Tag, long Values)>> AddTagValuesAsync(
        DbTransaction transaction, JournalId journal, List<(TagDay Tag, string Value)> values)
    {
        var added = await TagValues.RunAsync(
            transaction, values.ConvertAll(v => new object?[] { v.Tag.Tenant.Value, v.Tag.DayMs, v.Tag.Key, v.Value, journal.Value }));
        var counts = new List<(TagDay, long)>();
        foreach (var tag in added.Select(place => values[place].Tag).Distinct())
        {
            counts.Add((tag, await transaction.Connection!.QuerySingleAsync<long>(CountTagValuesSql, new { tenant = tag.Tenant, dayMs = tag.DayMs, key = tag.Key, journal }, transaction)));
        }

        return counts;
    }

    public static Task MarkHighCardinalityAsync(DbTransaction transaction, JournalId journal, TagDay tag) =>
        transaction.Connection!.ExecuteAsync(MarkHighSql, new { tenant = tag.Tenant, dayMs = tag.DayMs, key = tag.Key, journal }, transaction);

    public static async Task PruneAsync(DbTransaction transaction, JournalId journal, DateTimeOffset minutesBefore, DateTimeOffset daysBefore)
    {
        await transaction.Connection!.ExecuteAsync(DeleteMinutesSql, new { journal, before = minutesBefore }, transaction);
        await transaction.Connection!.ExecuteAsync(DeleteTagValuesSql, new { journal, before = daysBefore }, transaction);
    }

    /// <summary>The same for journals that nobody has open.</summary>
    public static async Task PruneClosedAsync(DbTransaction transaction, DateTimeOffset minutesBefore, DateTimeOffset daysBefore)
    {
        await transaction.Connection!.ExecuteAsync(DeleteClosedMinutesSql, new { before = minutesBefore }, transaction);
        await transaction.Connection!.ExecuteAsync(DeleteClosedTagValuesSql, new { before = daysBefore }, transaction);
    }

    private static object?[] RowOf(RollupKey key, JournalId journal, RollupSums sums)
    {
        object?[] keys = [key.Tenant, key.StartMs, key.ApiKey, key.Provider, key.Model, journal.Value];
        object?[] tag = key.TagKey is null ? [] : [key.TagKey, key.TagValue];
        return [.. keys, .. tag, .. sums.Measures];
    }

    private static BulkInsert AddTo(string table, (string Name, BulkType Type)[] keys) => new(
        table,
        [.. keys, .. Measures.Select(measure => (measure, BulkType.Number))],
        $"""
        ({string.Join(", ", keys.Select(key => key.Name))})
        DO UPDATE SET {string.Join(", ", Measures.Select(measure => $"{measure} = {table}.{measure} + excluded.{measure}"))}
        """);
}

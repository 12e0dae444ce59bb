using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Microsoft.Data.Sqlite;

namespace Dvara.Server.Metering;

/// <summary>The SQL of the rollups. Every row has its writer's journal in its key, so that no writer waits for another.</summary>
internal static class RollupStore
{
    private static readonly string[] Measures =
    [
        "requests", "uncached_input", "cache_read", "cache_write", "output", "reasoning", "input_cost_pico_usd", "output_cost_pico_usd",
        "estimated_requests", "unpriced_requests", "unresolved_requests", "unresolved_lower_bound_pico_usd", "failed_attempts",
    ];

    private static readonly string[] Keys = ["tenant_id", "start_ms", "api_key_id", "provider", "model", "journal_id"];

    private static readonly string[] TagKeys = ["tenant_id", "tag_key", "start_ms", "api_key_id", "provider", "model", "tag_value", "journal_id"];

    private static readonly string AddToHoursSql = AddTo("rollup_hours", Keys);

    private static readonly string AddToMinutesSql = AddTo("rollup_minutes", Keys);

    private static readonly string AddToTagHoursSql = AddTo("rollup_tag_hours", TagKeys);

    private const string AddTagValueSql = """
        INSERT INTO tag_values (tenant_id, day_ms, tag_key, tag_value, journal_id) VALUES (@tenant, @day, @key, @value, @journal)
        ON CONFLICT (tenant_id, tag_key, day_ms, journal_id, tag_value) DO NOTHING
        """;

    private const string CountTagValuesSql = """
        SELECT count(*) FROM tag_values WHERE tenant_id = @tenant AND tag_key = @key AND day_ms = @day AND journal_id = @journal
        """;

    private const string MarkHighSql = """
        INSERT INTO high_cardinality_tags (tenant_id, day_ms, tag_key, journal_id) VALUES (@tenant, @day, @key, @journal)
        ON CONFLICT (tenant_id, tag_key, day_ms, journal_id) DO NOTHING
        """;

    private const string CountHighSql = """
        SELECT count(*) FROM high_cardinality_tags WHERE tenant_id = @tenant AND tag_key = @key AND day_ms = @day
        """;

    private const string DeleteMinutesSql = "DELETE FROM rollup_minutes WHERE start_ms < @before AND journal_id = @journal";

    private const string DeleteTagValuesSql = "DELETE FROM tag_values WHERE day_ms < @before AND journal_id = @journal";

    public static void AddToHours(
        DbTransaction transaction, JournalId journal, Dictionary<RollupKey, RollupSums> sums) =>
        Add(transaction, AddToHoursSql, Keys, journal, sums);

    public static void AddToMinutes(
        DbTransaction transaction, JournalId journal, Dictionary<RollupKey, RollupSums> sums) =>
        Add(transaction, AddToMinutesSql, Keys, journal, sums);

    public static void AddToTagHours(
        DbTransaction transaction, JournalId journal, Dictionary<RollupKey, RollupSums> sums) =>
        Add(transaction, AddToTagHoursSql, TagKeys, journal, sums);

    public static async Task<bool> IsHighCardinalityAsync(DbTransaction transaction, TenantId tenant, long day, string key) =>
        await transaction.Connection!.QuerySingleAsync<long>(CountHighSql, new { tenant, day, key }, transaction) > 0;

    /// <returns>How many values the day has now, where the value is a new one; null where it is known.</returns>
    public static async Task<long?> AddTagValueAsync(
        DbTransaction transaction, JournalId journal, TenantId tenant, long day, string key, string value)
    {
        var added = await transaction.Connection!.ExecuteAsync(AddTagValueSql, new { tenant, day, key, value, journal }, transaction);
        return added == 0
            ? null
            : await transaction.Connection!.QuerySingleAsync<long>(CountTagValuesSql, new { tenant, day, key, journal }, transaction);
    }

    public static Task MarkHighCardinalityAsync(DbTransaction transaction, JournalId journal, TenantId tenant, long day, string key) =>
        transaction.Connection!.ExecuteAsync(MarkHighSql, new { tenant, day, key, journal }, transaction);

    public static async Task PruneAsync(DbTransaction transaction, JournalId journal, DateTimeOffset minutesBefore, DateTimeOffset daysBefore)
    {
        await transaction.Connection!.ExecuteAsync(DeleteMinutesSql, new { journal, before = minutesBefore }, transaction);
        await transaction.Connection!.ExecuteAsync(DeleteTagValuesSql, new { journal, before = daysBefore }, transaction);
    }

    private static void Add(
        DbTransaction transaction,
        string sql,
        string[] keys,
        JournalId journal,
        Dictionary<RollupKey, RollupSums> sums)
    {
        string[] columns = [.. keys, .. Measures];
        using var add = new PreparedWrite((SqliteConnection)transaction.Connection!, sql);
        var values = new object?[columns.Length];
        foreach (var (key, sum) in sums)
        {
            for (var i = 0; i < keys.Length; i++)
            {
                values[i] = ValueOf(keys[i], key, journal);
            }

            for (var i = 0; i < Measures.Length; i++)
            {
                values[keys.Length + i] = sum.Measures[i];
            }

            add.Run(values);
        }
    }

    private static object? ValueOf(string column, RollupKey key, JournalId journal) => column switch
    {
        "tenant_id" => ChargeRow.Bytes(key.Tenant),
        "start_ms" => key.StartMs,
        "api_key_id" => ChargeRow.Bytes(key.ApiKey),
        "provider" => key.Provider,
        "model" => key.Model,
        "tag_key" => key.TagKey,
        "tag_value" => key.TagValue,
        _ => ChargeRow.Bytes(journal.Value),
    };

    private static string AddTo(string table, string[] keys) => $"""
        INSERT INTO {table} ({string.Join(", ", keys)}, {string.Join(", ", Measures)})
        VALUES ({string.Join(", ", keys.Concat(Measures).Select(column => "@" + column))})
        ON CONFLICT ({string.Join(", ", keys)})
        DO UPDATE SET {string.Join(", ", Measures.Select(measure => $"{measure} = {table}.{measure} + excluded.{measure}"))}
        """;
}

using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Server.Hosting;
using Npgsql;

namespace Dvara.Server.Budgets;

/// <summary>Reads caps; what writes them is <see cref="CapWrites"/>.</summary>
internal static class CapStore
{
    /// <summary>The topic of <c>ChangeFeed</c> on which every change of a cap is announced; the subject is its id.</summary>
    public const string ChangeTopic = "caps";

    private const string KeyLine = "coalesce((SELECT k.line_id FROM api_keys k WHERE k.id = caps.api_key_id), api_key_id)";

    private const string Columns = $"""
        SELECT id, tenant_id AS tenantId, api_key_id AS apiKeyId, {KeyLine} AS keyLine, tag_key AS tagKey, tag_value AS tagValue, model, name,
            period, time_zone AS timeZone, limit_pico_usd AS limitUsd, soft_limit_pct AS softPct, enabled, mode, on_shortfall AS onShortfall,
            assumed_max_output_tokens AS assumedMaxOutputTokens, hold_wait_ms AS holdWaitMs, provenance, created_at_ms AS createdAt,
            updated_at_ms AS updatedAt
        FROM caps
        """;

    private const string ReadAllSql = Columns + " WHERE deleted_at_ms IS NULL";

    private const string FindSql = Columns + " WHERE id = @id AND deleted_at_ms IS NULL";

    private const string ListSql = Columns + $"""
         WHERE deleted_at_ms IS NULL AND (@visibleTo IS NULL OR tenant_id = @visibleTo) AND (@tenantId IS NULL OR tenant_id = @tenantId)
            AND (@apiKeyId IS NULL OR {KeyLine} = coalesce((SELECT k.line_id FROM api_keys k WHERE k.id = @apiKeyId), @apiKeyId))
            AND (@name IS NULL OR name = @name) AND (@enabled IS NULL OR enabled = @enabled) AND (@period IS NULL OR period = @period)
            AND (@before IS NULL OR id < @before)
        ORDER BY id DESC LIMIT @limit
        """;

    private const string ReadGenerationSql = "SELECT value FROM cap_generation";

    /// <summary>Every cap, with the generation that they are. Generation first: caps that are newer than it are read again, older ones never kept.</summary>
    public static async Task<CapBook> ReadBookAsync(DbConnection connection, DbTransaction? transaction = null)
    {
        var generation = await ReadGenerationAsync(connection, transaction);
        var rows = await connection.QueryAsync<Row>(ReadAllSql, transaction: transaction);
        return new(generation, rows.Select(row => row.ToCap()));
    }

    /// <returns>Null for an unknown one, and for one that is deleted.</returns>
    public static async Task<Cap?> FindAsync(DbConnection connection, CapId id, DbTransaction? transaction = null) =>
        (await connection.QuerySingleOrDefaultAsync<Row>(FindSql, new { id }, transaction))?.ToCap();

    /// <param name="connection">A read.</param>
    /// <param name="filter">Which caps.</param>
    /// <param name="before">Only caps older than it.</param>
    /// <param name="limit">At most so many, newest first.</param>
    public static async Task<IReadOnlyList<Cap>> ListAsync(DbConnection connection, BudgetFilter filter, CapId? before, int limit)
    {
        var parameters = new
        {
            visibleTo = filter.VisibleTo,
            tenantId = filter.TenantId,
            apiKeyId = filter.ApiKeyId,
            name = filter.Name,
            enabled = filter.Enabled is { } enabled ? enabled ? 1L : 0L : (long?)null,
            period = filter.Period?.ContractName(),
            before,
            limit,
        };
        return [.. (await connection.QueryAsync<Row>(ListSql, parameters)).Select(row => row.ToCap())];
    }

    public static Task<long> ReadGenerationAsync(DbConnection connection, DbTransaction? transaction = null) =>
        connection.QuerySingleAsync<long>(ReadGenerationSql, transaction: transaction);

    /// <summary>The cap, unless it is deleted; nobody changes it before the transaction ends.</summary>
    public static async Task<Cap?> LockAsync(DbTransaction transaction, CapId id) =>
        (await transaction.Connection!.QuerySingleOrDefaultAsync<Row>(
            transaction.Connection is NpgsqlConnection ? FindSql + " FOR SHARE" : FindSql, new { id }, transaction))?.ToCap();

    private sealed class Row
    {
        public CapId Id { get; init; }

        public TenantId? TenantId { get; init; }

        public ApiKeyId? ApiKeyId { get; init; }

        public KeyLineId? KeyLine { get; init; }

        public string? TagKey { get; init; }

        public string? TagValue { get; init; }

        public string? Model { get; init; }

        public string Name { get; init; } = "";

        public string Period { get; init; } = "";

        public string TimeZone { get; init; } = "";

        public Usd LimitUsd { get; init; }

        public long? SoftPct { get; init; }

        public long Enabled { get; init; }

        public string Mode { get; init; } = "";

        public string OnShortfall { get; init; } = "";

        public long AssumedMaxOutputTokens { get; init; }

        public long HoldWaitMs { get; init; }

        public string Provenance { get; init; } = "";

        public DateTimeOffset CreatedAt { get; init; }

        public DateTimeOffset UpdatedAt { get; init; }

        public Cap ToCap() => new()
        {
            Id = Id,
            TenantId = TenantId,
            Key = ApiKeyId is { } named ? new CapKey(named, KeyLine!.Value) : null,
            Tag = TagKey is null ? null : new CapTag(TagKey, TagValue!),
            Model = Model,
            Name = Name,
            Period = Known<CapPeriod>(Period),
            TimeZone = TimeZone,
            Limit = LimitUsd,
            SoftPct = (int?)SoftPct,
            Enabled = Enabled == 1,
            Mode = Known<CapMode>(Mode),
            OnShortfall = Known<Shortfall>(OnShortfall),
            AssumedMaxOutputTokens = AssumedMaxOutputTokens,
            HoldWaitMs = (int)HoldWaitMs,
            Provenance = Known<CapProvenance>(Provenance),
            CreatedAt = CreatedAt,
            UpdatedAt = UpdatedAt,
        };

        private T Known<T>(string name)
            where T : struct, Enum =>
            ContractNames.Parse<T>(name) ?? throw new InvalidOperationException($"Cap {Id} has the {typeof(T).Name} {name}, which this version does not know.");
    }
}

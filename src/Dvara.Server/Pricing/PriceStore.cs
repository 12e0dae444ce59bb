using System.Data.Common;
using System.Globalization;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Pricing;
using Dvara.Server.Hosting;
using Dvara.Server.Storage;

namespace Dvara.Server.Pricing;

/// <summary>All SQL of prices. Writes are steps of a transaction that <see cref="PriceChanges"/> or the shipped list leads.</summary>
internal sealed class PriceStore(Database database)
{
    private const string Columns = """
        SELECT id, tenant_id AS tenantId, provider, model, source, input_rate_pico_usd AS inputRate, output_rate_pico_usd AS outputRate,
            cached_input_rate_pico_usd AS cachedInputRate, cache_write_rate_pico_usd AS cacheWriteRate,
            reasoning_rate_pico_usd AS reasoningRate, per_request_pico_usd AS perRequest, max_output_tokens AS maxOutputTokens,
            effective_from_ms AS effectiveFrom, ends_at_ms AS endsAt, effective_to_ms AS effectiveTo, source_url AS sourceUrl,
            checked_on AS checkedOn, created_at_ms AS createdAt
        FROM price_versions
        """;

    private const string ById = Columns + " WHERE id = @id";

    private const string OfSource = Columns + " WHERE source = @source ORDER BY effective_from_ms";

    private const string Newest = Columns + """
         WHERE (@provider IS NULL OR provider = @provider)
            AND (@model IS NULL OR model = @model)
            AND (@tenantId IS NULL OR tenant_id = @tenantId)
            AND (@source IS NULL OR source = @source)
            AND (@at IS NULL OR (effective_from_ms <= @at AND (effective_to_ms IS NULL OR effective_to_ms > @at)))
            AND (@visibleTo IS NULL OR tenant_id IS NULL OR tenant_id = @visibleTo)
            AND (@beforeAt IS NULL OR (created_at_ms, id) < (@beforeAt, @beforeId))
        ORDER BY created_at_ms DESC, id DESC LIMIT @limit
        """;

    private const string InsertVersion = """
        INSERT INTO prices (id, tenant_id, provider, model, source, input_rate_pico_usd, output_rate_pico_usd, cached_input_rate_pico_usd,
            cache_write_rate_pico_usd, reasoning_rate_pico_usd, per_request_pico_usd, max_output_tokens, effective_from_ms, ends_at_ms,
            source_url, checked_on, created_at_ms)
        VALUES (@id, @tenantId, @provider, @model, @source, @inputRate, @outputRate, @cachedInputRate, @cacheWriteRate, @reasoningRate,
            @perRequest, @maxOutputTokens, @effectiveFrom, @endsAt, @sourceUrl, @checkedOn, @createdAt)
        """;

    private const string DeleteVersion = "DELETE FROM prices WHERE id = @id";

    private const string EndVersion = "UPDATE prices SET ends_at_ms = @endsAt WHERE id = @id";

    private const string SetProvenance = """
        UPDATE prices SET max_output_tokens = @maxOutputTokens, source_url = @sourceUrl, checked_on = @checkedOn WHERE id = @id
        """;

    private const string ReadListDate = "SELECT checked_on FROM builtin_price_list";

    private const string WriteListDate = """
        DELETE FROM builtin_price_list;
        INSERT INTO builtin_price_list (checked_on) VALUES (@checkedOn);
        """;

    /// <summary>Every version there is, for the snapshot: an attempt found after a crash is rated by the price of its own time.</summary>
    public async Task<List<Price>> AllAsync(CancellationToken cancellationToken)
    {
        var rows = await database.LookUpAsync(c => c.QueryAsync<Row>(Columns), cancellationToken);
        return [.. rows.Select(row => row.ToVersion().Price)];
    }

    public async Task<PriceVersion?> FindAsync(PriceId id, CancellationToken cancellationToken)
    {
        var row = await database.ReadAsync(c => c.QuerySingleOrDefaultAsync<Row>(ById, new { id }), cancellationToken);
        return row?.ToVersion();
    }

    /// <param name="filter">Which versions.</param>
    /// <param name="before">Only versions made before it.</param>
    /// <param name="limit">At most so many, newest first.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public async Task<List<PriceVersion>> ListAsync(
        PriceFilter filter, PricePosition? before, int limit, CancellationToken cancellationToken)
    {
        var parameters = new
        {
            provider = filter.Provider,
            model = filter.Model,
            tenantId = filter.TenantId,
            source = filter.Source is { } source ? source.ContractName() : null,
            at = filter.At,
            visibleTo = filter.VisibleTo,
            beforeAt = before?.CreatedAt,
            beforeId = before?.Id,
            limit,
        };
        var rows = await database.ReadAsync(c => c.QueryAsync<Row>(Newest, parameters), cancellationToken);
        return [.. rows.Select(row => row.ToVersion())];
    }

    /// <summary>Every version of a source by start, as the transaction sees it.</summary>
    public static async Task<List<PriceVersion>> AllAsync(DbTransaction transaction, PriceSource source)
    {
        var rows = await transaction.Connection!.QueryAsync<Row>(OfSource, new { source = source.ContractName() }, transaction);
        return [.. rows.Select(row => row.ToVersion())];
    }

    public static async Task<PriceVersion?> FindAsync(DbTransaction transaction, PriceId id) =>
        (await transaction.Connection!.QuerySingleOrDefaultAsync<Row>(ById, new { id }, transaction))?.ToVersion();

    public static Task InsertAsync(DbTransaction transaction, PriceVersion version) => transaction.Connection!.ExecuteAsync(
        InsertVersion,
        new
        {
            id = version.Price.Id,
            tenantId = version.Price.TenantId,
            provider = version.Price.Provider,
            model = version.Price.Model,
            source = version.Price.Source.ContractName(),
            inputRate = version.Price.InputRate,
            outputRate = version.Price.OutputRate,
            cachedInputRate = version.Price.CachedInputRate,
            cacheWriteRate = version.Price.CacheWriteRate,
            reasoningRate = version.Price.ReasoningRate,
            perRequest = version.Price.PerRequest,
            maxOutputTokens = version.Price.MaxOutputTokens,
            effectiveFrom = version.Price.EffectiveFrom,
            endsAt = version.EndsAt,
            sourceUrl = version.SourceUrl,
            checkedOn = Text(version.CheckedOn),
            createdAt = version.CreatedAt,
        },
        transaction);

    /// <summary>Only for a version that has not begun: what has rated stays.</summary>
    public static Task DeleteAsync(DbTransaction transaction, PriceId id) =>
        transaction.Connection!.ExecuteAsync(DeleteVersion, new { id }, transaction);

    /// <param name="transaction">The change.</param>
    /// <param name="id">The version.</param>
    /// <param name="endsAt">In the future; null: open.</param>
    public static Task EndAsync(DbTransaction transaction, PriceId id, DateTimeOffset? endsAt) =>
        transaction.Connection!.ExecuteAsync(EndVersion, new { id, endsAt }, transaction);

    /// <summary>Refreshes what does not rate: where the price was seen, and the model's limit.</summary>
    public static Task SetProvenanceAsync(DbTransaction transaction, PriceId id, PriceVersion from) => transaction.Connection!.ExecuteAsync(
        SetProvenance,
        new { id, maxOutputTokens = from.Price.MaxOutputTokens, sourceUrl = from.SourceUrl, checkedOn = Text(from.CheckedOn) },
        transaction);

    /// <returns>Null before the first list was applied.</returns>
    public static async Task<DateOnly?> ListDateAsync(DbTransaction transaction) =>
        Date(await transaction.Connection!.QuerySingleOrDefaultAsync<string>(ReadListDate, transaction: transaction));

    public static Task SetListDateAsync(DbTransaction transaction, DateOnly checkedOn) =>
        transaction.Connection!.ExecuteAsync(WriteListDate, new { checkedOn = Text(checkedOn) }, transaction);

    private static string? Text(DateOnly? date) => date?.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private static DateOnly? Date(string? text) =>
        text is null ? null : DateOnly.ParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture);

    private sealed class Row
    {
        public PriceId Id { get; init; }

        public TenantId? TenantId { get; init; }

        public string Provider { get; init; } = "";

        public string Model { get; init; } = "";

        public string Source { get; init; } = "";

        public long InputRate { get; init; }

        public long OutputRate { get; init; }

        public long? CachedInputRate { get; init; }

        public long? CacheWriteRate { get; init; }

        public long? ReasoningRate { get; init; }

        public Usd? PerRequest { get; init; }

        public int? MaxOutputTokens { get; init; }

        public DateTimeOffset EffectiveFrom { get; init; }

        public DateTimeOffset? EndsAt { get; init; }

        public DateTimeOffset? EffectiveTo { get; init; }

        public string? SourceUrl { get; init; }

        public string? CheckedOn { get; init; }

        public DateTimeOffset CreatedAt { get; init; }

        public PriceVersion ToVersion() => new()
        {
            Price = new()
            {
                Id = Id,
                TenantId = TenantId,
                Provider = Provider,
                Model = Model,
                InputRate = InputRate,
                OutputRate = OutputRate,
                CachedInputRate = CachedInputRate,
                CacheWriteRate = CacheWriteRate,
                ReasoningRate = ReasoningRate,
                PerRequest = PerRequest,
                MaxOutputTokens = MaxOutputTokens,
                EffectiveFrom = EffectiveFrom,
                EffectiveTo = EffectiveTo,
                Source = Source == "BUILTIN" ? PriceSource.Builtin : PriceSource.Custom,
            },
            EndsAt = EndsAt,
            SourceUrl = SourceUrl,
            CheckedOn = Date(CheckedOn),
            CreatedAt = CreatedAt,
        };
    }
}

using System.Data.Common;
using System.Text.Json;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Metering;
using Dvara.Domain.Time;

namespace Dvara.Server.Budgets;

/// <summary>
/// What the ledger has for a cap's scope in a window: where the cap's own count begins. Whole hours come from the hour rollups where those
/// tell tenant and key, which is all that the scope names; everything else from rows, which are asked the very question that later charges are.
/// </summary>
/// <remarks>Each amount is summed in two parts, whole millions and the rest: SQLite's SUM ends with an error beyond 64 bits.</remarks>
internal static class CapBaseline
{
    private const long HourMs = 3_600_000;

    private const string Sums = """
         CAST(coalesce(sum(s.input_cost_pico_usd / 1000000 + s.output_cost_pico_usd / 1000000), 0) AS bigint) AS millions,
            CAST(coalesce(sum(s.input_cost_pico_usd % 1000000 + s.output_cost_pico_usd % 1000000), 0) AS bigint) AS rest,
            CAST(coalesce(sum(s.requests), 0) AS bigint) AS requests
        """;

    private const string Hours = "SELECT" + Sums + " FROM rollup_hours s WHERE s.start_ms >= @fromMs AND s.start_ms < @toMs";

    // A statement per index: an optional "tenant_id = @tenantId" would have the engine walk everybody's rows.
    private const string HoursOfTenant = Hours + " AND s.tenant_id = @tenantId";

    private const string HoursOfKeyLine = HoursOfTenant + """
         AND s.api_key_id IN (SELECT k.id FROM api_keys k WHERE k.tenant_id = @tenantId AND coalesce(k.line_id, k.id) = @keyLine)
        """;

    // Charges that no scope can tell apart, together.
    private const string Rows = """
        SELECT s.tenant_id AS tenantId, coalesce((SELECT k.line_id FROM api_keys k WHERE k.id = s.api_key_id), s.api_key_id) AS keyLine, s.provider, s.requested_model AS requestedModel, s.tags,
        """ + Sums + " FROM charges s WHERE s.attempt_id >= @first AND s.attempt_id < @end";

    private const string ByScope = " GROUP BY s.tenant_id, s.api_key_id, s.provider, s.requested_model, s.tags";

    private const string RowsOfAll = Rows + ByScope;

    private const string RowsOfTenant = Rows + " AND s.tenant_id = @tenantId" + ByScope;

    /// <summary>Sums all rows whose intent is in <paramref name="window"/>, revisions included. Exact while no ledger batch is under way.</summary>
    public static async Task<PeriodUse> SumAsync(DbTransaction transaction, Cap cap, TimeWindow window)
    {
        var (fromMs, toMs) = (window.From.ToUnixTimeMilliseconds(), window.To.ToUnixTimeMilliseconds());
        if (cap.Tag is not null || cap.Model is not null)
        {
            return ToUse(await SumRowsAsync(transaction, cap, fromMs, toMs));
        }

        // Midnight is not on the hour everywhere.
        var (firstHourMs, lastHourMs) = ((fromMs + HourMs - 1) / HourMs * HourMs, toMs / HourMs * HourMs);
        var (head, hours, tail) = (
            await SumRowsAsync(transaction, cap, fromMs, firstHourMs),
            await SumHoursAsync(transaction, cap, firstHourMs, lastHourMs),
            await SumRowsAsync(transaction, cap, lastHourMs, toMs));
        return ToUse((head.PicoUsd + hours.PicoUsd + tail.PicoUsd, head.Requests + hours.Requests + tail.Requests));
    }

    private static async Task<(Int128 PicoUsd, Int128 Requests)> SumHoursAsync(DbTransaction transaction, Cap cap, long fromMs, long toMs)
    {
        var row = await transaction.Connection!.QuerySingleAsync<Row>(
            cap.TenantId is null ? Hours : cap.Key is null ? HoursOfTenant : HoursOfKeyLine,
            new { fromMs, toMs, tenantId = cap.TenantId, keyLine = cap.Key?.Line },
            transaction);
        return (row.PicoUsd, row.Requests);
    }

    private static async Task<(Int128 PicoUsd, Int128 Requests)> SumRowsAsync(DbTransaction transaction, Cap cap, long fromMs, long toMs)
    {
        if (fromMs >= toMs)
        {
            return default;
        }

        var parameters = new { first = FirstOf(fromMs), end = FirstOf(toMs), tenantId = cap.TenantId };
        var rows = transaction.Connection!.QueryUnbufferedAsync<Row>(cap.TenantId is null ? RowsOfAll : RowsOfTenant, parameters, transaction);
        var (picoUsd, requests) = (Int128.Zero, Int128.Zero);
        await foreach (var row in rows)
        {
            if (cap.Matches(row.Scope))
            {
                picoUsd += row.PicoUsd;
                requests += row.Requests;
            }
        }

        return (picoUsd, requests);
    }

    private static AttemptId FirstOf(long ms) => new(Uuid7.FirstAt(DateTimeOffset.FromUnixTimeMilliseconds(ms)));

    /// <summary>More than a row holds is more than any limit.</summary>
    private static PeriodUse ToUse((Int128 PicoUsd, Int128 Requests) sums) => new()
    {
        Baseline = new(Int128.Clamp(sums.PicoUsd, long.MinValue, long.MaxValue)),
        BaselineRequests = (long)Int128.Clamp(sums.Requests, long.MinValue, long.MaxValue),
    };

    private sealed class Row
    {
        public TenantId TenantId { get; init; }

        public KeyLineId KeyLine { get; init; }

        public string Provider { get; init; } = "";

        public string RequestedModel { get; init; } = "";

        public string Tags { get; init; } = "{}";

        public long Millions { get; init; }

        public long Rest { get; init; }

        public long Requests { get; init; }

        public Int128 PicoUsd => ((Int128)Millions * 1_000_000) + Rest;

        public CapScope Scope => new(TenantId, KeyLine, Provider, SentModel, ReadTags());

        /// <summary>The ledger keeps the model as the client wrote it.</summary>
        private string SentModel =>
            RequestedModel.StartsWith(Provider + "/", StringComparison.Ordinal) ? RequestedModel[(Provider.Length + 1)..] : RequestedModel;

        private IReadOnlyDictionary<string, string> ReadTags() =>
            Tags is "{}" ? Intent.NoTags : JsonSerializer.Deserialize<Dictionary<string, string>>(Tags) ?? Intent.NoTags;
    }
}

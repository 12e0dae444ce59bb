using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Time;
using Microsoft.Data.Sqlite;

namespace Dvara.Server.Metering;

/// <summary>What the ledger knows of a journal.</summary>
/// <param name="Epoch">Counts the processes that opened it; an older one may not write any more.</param>
/// <param name="ShippedThrough">Its charges up to here are in the ledger.</param>
/// <param name="Digest">Of its last batch; null before the first.</param>
internal sealed record JournalStanding(long Epoch, long ShippedThrough, byte[]? Digest);

/// <summary>One journal as the API shows it.</summary>
internal sealed record JournalRow(JournalId Id, string Silo, string State, long LowWater, long ShippedThrough);

/// <summary>The SQL of charges, journals and batches.</summary>
internal static class LedgerStore
{
    public static readonly string[] ChargeColumns =
    [
        "attempt_id", "revision", "kind", "state", "request_id", "attempt", "tenant_id", "api_key_id", "provider", "model",
        "requested_model", "endpoint", "stream", "uncached_input", "cache_read", "cache_write", "output", "reasoning", "estimated",
        "input_cost_pico_usd", "output_cost_pico_usd", "lower_bound_pico_usd", "requests", "estimated_requests", "unpriced_requests",
        "unresolved_requests", "failed_attempts", "price_id", "tags", "end_user", "at_ms", "billing_month", "latency_ms", "status",
        "outcome", "provider_request_id", "idempotency_key", "journal_id", "journal_seq",
    ];

    private static readonly string[] ChargeParameters = [.. ChargeColumns.Select(column => "@" + column)];

    private static readonly string InsertChargeSql = $"""
        INSERT INTO charges ({string.Join(", ", ChargeColumns)}) VALUES ({string.Join(", ", ChargeParameters)})
        ON CONFLICT (attempt_id, revision) DO NOTHING
        """;

    private static readonly string ReadChargesSql = $"""
        SELECT {string.Join(", ", ChargeColumns)} FROM charges
        WHERE journal_id = @journal AND journal_seq BETWEEN @first AND @last ORDER BY journal_seq, revision
        """;

    private const string ReadStateBeforeSql =
        "SELECT state FROM charges WHERE attempt_id = @attempt AND revision < @revision ORDER BY revision DESC LIMIT 1";

    private const string ReadRequestSql = """
        SELECT coalesce(sum(c.requests), 0), coalesce(max(CASE WHEN c.attempt_id <> @attempt AND c.state <> 'FAILED' AND NOT EXISTS (
            SELECT 1 FROM charges later WHERE later.attempt_id = c.attempt_id AND later.revision > c.revision) THEN 1 ELSE 0 END), 0)
        FROM charges c WHERE c.request_id = @request
        """;

    private const string ReadClosedMonthsSql = "SELECT billing_month FROM closed_months WHERE tenant_id = @tenant";

    private const string CloseMonthSql = """
        INSERT INTO closed_months (tenant_id, billing_month, closed_ms) VALUES (@tenant, @month, @now)
        ON CONFLICT (tenant_id, billing_month) DO NOTHING
        """;

    private const string RegisterSql = """
        INSERT INTO journals (id, silo, epoch, state, opened_ms) VALUES (@journal, @silo, 1, 'OPEN', @now)
        ON CONFLICT (id) DO UPDATE SET silo = excluded.silo, epoch = journals.epoch + 1, state = 'OPEN', opened_ms = excluded.opened_ms
        """;

    // With SQLite a data folder has one silo and one journal: another one that was never closed is not here any more.
    private const string MarkMissingSql = "UPDATE journals SET state = 'MISSING' WHERE id <> @journal AND state = 'OPEN'";

    private const string ReadStandingSql = "SELECT epoch, shipped_through AS shippedThrough, digest FROM journals WHERE id = @journal";

    private const string AdvanceSql = "UPDATE journals SET shipped_through = @last, digest = @digest WHERE id = @journal AND epoch = @epoch";

    private const string InsertBatchSql = """
        INSERT INTO journal_batches (journal_id, first_seq, last_seq, charges, digest, shipped_ms)
        VALUES (@journal, @first, @last, @charges, @digest, @now)
        """;

    private const string ReadBatchesSql = """
        SELECT first_seq AS firstSeq, last_seq AS lastSeq, charges, digest FROM journal_batches WHERE journal_id = @journal ORDER BY first_seq
        """;

    private const string CountChargesSql = "SELECT count(*) FROM charges WHERE journal_id = @journal";

    private const string QuarantineSql = """
        INSERT INTO quarantined_charges (journal_id, journal_seq, payload, reason, quarantined_ms)
        VALUES (@journal, @seq, @payload, @reason, @now) ON CONFLICT (journal_id, journal_seq) DO NOTHING
        """;

    private const string SetStateSql = "UPDATE journals SET state = @state WHERE id = @journal AND epoch = @epoch";

    private const string SetLowWaterSql = "UPDATE journals SET low_water = @lowWater WHERE id = @journal";

    private const string ListSql = """
        SELECT id, silo, state, low_water AS lowWater, shipped_through AS shippedThrough FROM journals
        WHERE @before IS NULL OR id < @before ORDER BY id DESC LIMIT @limit
        """;

    public static PreparedWrite InsertCharge(DbTransaction transaction) => new((SqliteConnection)transaction.Connection!, InsertChargeSql);

    public static async Task<ChargeState?> ReadStateBeforeAsync(DbTransaction transaction, AttemptId attempt, int revision) =>
        await transaction.Connection!.QuerySingleOrDefaultAsync<string>(ReadStateBeforeSql, new { attempt, revision }, transaction) is { } state
            ? Enum.Parse<ChargeState>(state, ignoreCase: true)
            : null;

    /// <summary>How the request stands without the attempt's next row.</summary>
    public static async Task<RequestStanding> ReadRequestAsync(DbTransaction transaction, RequestId request, AttemptId attempt)
    {
        var (counted, others) = await transaction.Connection!.QuerySingleAsync<(long, long)>(ReadRequestSql, new { request, attempt }, transaction);
        return new(counted, others == 1);
    }

    public static async Task<HashSet<int>> ReadClosedMonthsAsync(DbTransaction transaction, TenantId tenant) =>
        [.. await transaction.Connection!.QueryAsync<int>(ReadClosedMonthsSql, new { tenant }, transaction)];

    /// <summary>From this transaction on, charges of the tenant that come late for the month are billed in the open one.</summary>
    public static Task CloseMonthAsync(DbTransaction transaction, TenantId tenant, BillingMonth month, DateTimeOffset now) =>
        transaction.Connection!.ExecuteAsync(CloseMonthSql, new { tenant, month = month.Value, now }, transaction);

    /// <summary>Makes the journal known before its first use, and every other one of this node known as missing.</summary>
    /// <returns>How it stands, and how many others went missing.</returns>
    public static async Task<(JournalStanding Standing, int Missing)> RegisterAsync(
        DbTransaction transaction, JournalId journal, string silo, DateTimeOffset now)
    {
        await transaction.Connection!.ExecuteAsync(RegisterSql, new { journal, silo, now }, transaction);
        var missing = await transaction.Connection!.ExecuteAsync(MarkMissingSql, new { journal }, transaction);
        return (await ReadStandingAsync(transaction, journal), missing);
    }

    public static Task<JournalStanding> ReadStandingAsync(DbTransaction transaction, JournalId journal) =>
        transaction.Connection!.QuerySingleAsync<JournalStanding>(ReadStandingSql, new { journal }, transaction);

    /// <summary>Records the batch and moves the journal on.</summary>
    /// <returns>False: another process has opened the journal since.</returns>
    public static async Task<bool> AdvanceAsync(
        DbTransaction transaction, JournalId journal, long epoch, (long First, long Last) range, int charges, byte[] digest, DateTimeOffset now)
    {
        await transaction.Connection!.ExecuteAsync(
            InsertBatchSql, new { journal, first = range.First, last = range.Last, charges, digest, now }, transaction);
        return await transaction.Connection!.ExecuteAsync(AdvanceSql, new { journal, epoch, last = range.Last, digest }, transaction) == 1;
    }

    public static Task QuarantineAsync(DbTransaction transaction, JournalId journal, JournaledCharge charge, string reason, DateTimeOffset now) =>
        transaction.Connection!.ExecuteAsync(
            QuarantineSql, new { journal, seq = charge.Seq, payload = JournalEntry.Encode(charge.Charge), reason, now }, transaction);

    public static Task SetStateAsync(DbTransaction transaction, JournalId journal, long epoch, string state) =>
        transaction.Connection!.ExecuteAsync(SetStateSql, new { journal, epoch, state }, transaction);

    public static Task SetLowWaterAsync(DbTransaction transaction, JournalId journal, long lowWater) =>
        transaction.Connection!.ExecuteAsync(SetLowWaterSql, new { journal, lowWater }, transaction);

    public static async Task<IReadOnlyList<JournalRow>> ListAsync(DbConnection connection, JournalId? before, int limit) =>
        [.. await connection.QueryAsync<JournalRow>(ListSql, new { before, limit })];

    public static async Task<IReadOnlyList<(long FirstSeq, long LastSeq, int Charges, byte[] Digest)>> ReadBatchesAsync(
        DbConnection connection, JournalId journal) =>
        [.. await connection.QueryAsync<(long, long, int, byte[])>(ReadBatchesSql, new { journal })];

    public static Task<long> CountChargesAsync(DbConnection connection, JournalId journal) =>
        connection.QuerySingleAsync<long>(CountChargesSql, new { journal });

    /// <summary>The rows of a batch, column by column, as they stand in the ledger now.</summary>
    public static List<object?[]> ReadCharges(DbConnection connection, JournalId journal, long first, long last)
    {
        using var read = new PreparedStatement(connection, ReadChargesSql, "@journal", "@first", "@last");
        return read.Rows(
            row =>
            {
                var values = new object?[ChargeColumns.Length];
                for (var i = 0; i < values.Length; i++)
                {
                    values[i] = row.IsDBNull(i) ? null : row.GetValue(i);
                }

                return values;
            },
            ChargeRow.Bytes(journal.Value),
            first,
            last);
    }
}

using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Time;
using Dvara.Server.Storage;

namespace Dvara.Server.Metering;

/// <summary>What the ledger knows of a journal.</summary>
/// <param name="Epoch">Counts the processes that opened it; an older one may not write any more.</param>
/// <param name="ShippedThrough">Its charges up to here are in the ledger.</param>
/// <param name="Digest">Of its last batch; null before the first.</param>
internal sealed record JournalStanding(long Epoch, long ShippedThrough, byte[]? Digest);

/// <summary>One journal as the API shows it.</summary>
internal sealed record JournalRow(
    JournalId Id, string Silo, string State, long LowWater, long ShippedThrough, DateTimeOffset SeenAt, long? Pending, long Quarantined)
{
    /// <summary>A silo that has not been heard of for so long is not there, or cannot reach the ledger.</summary>
    private static readonly TimeSpan UnseenMax = TimeSpan.FromSeconds(60);

    /// <summary>OPEN, CLOSED or MISSING. In a cluster whoever has a journal open says so every ten seconds.</summary>
    public string StateAt(DateTimeOffset now, bool isCluster) => isCluster && State == "OPEN" && SeenAt < now - UnseenMax ? "MISSING" : State;
}

/// <summary>The SQL of charges, journals and batches.</summary>
internal static class LedgerStore
{
    /// <summary>The values of <see cref="ChargeRow.Values"/>, in their order.</summary>
    public static readonly (string Name, BulkType Type)[] ChargeColumns =
    [
        ("attempt_id", BulkType.Id), ("revision", BulkType.Number), ("kind", BulkType.Text), ("state", BulkType.Text),
        ("request_id", BulkType.Id), ("attempt", BulkType.Number), ("tenant_id", BulkType.Id), ("api_key_id", BulkType.Id),
        ("provider", BulkType.Text), ("model", BulkType.Text), ("requested_model", BulkType.Text), ("endpoint", BulkType.Text),
        ("stream", BulkType.Number), ("uncached_input", BulkType.Number), ("cache_read", BulkType.Number), ("cache_write", BulkType.Number),
        ("output", BulkType.Number), ("reasoning", BulkType.Number), ("estimated", BulkType.Number),
        ("input_cost_pico_usd", BulkType.Number), ("output_cost_pico_usd", BulkType.Number), ("lower_bound_pico_usd", BulkType.Number),
        ("requests", BulkType.Number), ("estimated_requests", BulkType.Number), ("unpriced_requests", BulkType.Number),
        ("unresolved_requests", BulkType.Number), ("failed_attempts", BulkType.Number), ("price_id", BulkType.Id), ("tags", BulkType.Text),
        ("end_user", BulkType.Text), ("at_ms", BulkType.Number), ("billing_month", BulkType.Number), ("latency_ms", BulkType.Number),
        ("status", BulkType.Number), ("outcome", BulkType.Text), ("provider_request_id", BulkType.Text), ("idempotency_key", BulkType.Text),
        ("journal_id", BulkType.Id), ("journal_seq", BulkType.Number),
    ];

    private static readonly BulkInsert InsertCharges =
        new("charges", ChargeColumns, "(attempt_id, revision) DO NOTHING", "attempt_id", "revision");

    private static readonly string ReadChargesSql = $"""
        SELECT {string.Join(", ", ChargeColumns.Select(column => column.Name))} FROM charges
        WHERE journal_id = @journal AND journal_seq BETWEEN @first AND @last ORDER BY journal_seq, revision
        """;

    private const string ReadStateBeforeSql =
        "SELECT state FROM charges WHERE attempt_id = @attempt AND revision < @revision ORDER BY revision DESC LIMIT 1";

    private const string ReadRequestSql = """
        SELECT CAST(coalesce(sum(c.requests), 0) AS bigint), CAST(coalesce(max(CASE WHEN c.attempt_id <> @attempt AND c.state <> 'FAILED' AND NOT EXISTS (
            SELECT 1 FROM charges later WHERE later.attempt_id = c.attempt_id AND later.revision > c.revision) THEN 1 ELSE 0 END), 0) AS bigint)
        FROM charges c WHERE c.request_id = @request
        """;

    private const string ReadClosedMonthsSql = """
        SELECT tenant_id AS tenant, billing_month AS month FROM closed_months WHERE billing_month >= @since
        """;

    private const string CloseMonthSql = """
        INSERT INTO closed_months (tenant_id, billing_month, closed_ms) VALUES (@tenant, @month, @now)
        ON CONFLICT (tenant_id, billing_month) DO NOTHING
        """;

    private const string RegisterSql = """
        INSERT INTO journals (id, silo, epoch, state, opened_ms, seen_ms) VALUES (@journal, @silo, 1, 'OPEN', @now, @now)
        ON CONFLICT (id) DO UPDATE SET
            silo = excluded.silo, epoch = journals.epoch + 1, state = 'OPEN', opened_ms = excluded.opened_ms, seen_ms = excluded.seen_ms, pending = NULL
        """;

    private const string RegisterAgainSql = """
        INSERT INTO journals (id, silo, epoch, state, opened_ms, seen_ms) VALUES (@journal, @silo, @epoch, 'OPEN', @now, @now)
        ON CONFLICT (id) DO UPDATE SET silo = excluded.silo, epoch = excluded.epoch, state = 'OPEN', seen_ms = excluded.seen_ms
        WHERE journals.epoch < excluded.epoch
        """;

    private const string MarkMissingSql = """
        UPDATE journals SET state = 'MISSING', pending = NULL WHERE id <> @journal AND state = 'OPEN' AND (NOT @othersWrite OR silo = @silo)
        """;

    private const string NoteSeenSql = "UPDATE journals SET seen_ms = @now, pending = coalesce(@pending, pending) WHERE id = @journal AND epoch = @epoch";

    private const string IsKnownSql = "SELECT count(*) FROM journals WHERE id = @journal";

    private const string ReadStandingSql = "SELECT epoch, shipped_through AS shippedThrough, digest FROM journals WHERE id = @journal";

    private const string AdvanceSql = "UPDATE journals SET shipped_through = @last, digest = @digest WHERE id = @journal AND epoch = @epoch";

    private const string InsertBatchSql = """
        INSERT INTO journal_batches (journal_id, first_seq, last_seq, charges, digest, shipped_ms)
        VALUES (@journal, @first, @last, @charges, @digest, @now)
        """;

    private const string ReadBatchesSql = """
        SELECT first_seq AS firstSeq, last_seq AS lastSeq, charges, digest FROM journal_batches WHERE journal_id = @journal ORDER BY first_seq
        """;

    // Batches come about twenty to a second and are looked for once a minute: the bound is never reached for long.
    private const string ReadShippedBeforeSql = """
        SELECT coalesce(max(last_seq), 0) FROM (
            SELECT last_seq, shipped_ms FROM journal_batches WHERE journal_id = @journal AND first_seq > @after ORDER BY first_seq LIMIT 10000) AS oldest
        WHERE shipped_ms < @before
        """;

    private const string CountChargesSql = "SELECT count(*) FROM charges WHERE journal_id = @journal";

    private const string QuarantineSql = """
        INSERT INTO quarantined_charges (journal_id, journal_seq, payload, reason, quarantined_ms)
        VALUES (@journal, @seq, @payload, @reason, @now) ON CONFLICT (journal_id, journal_seq) DO NOTHING
        """;

    private const string CloseSql = "UPDATE journals SET state = 'CLOSED', pending = 0 WHERE id = @journal AND epoch = @epoch";

    private const string SetLowWaterSql = "UPDATE journals SET low_water = @lowWater WHERE id = @journal";

    private const string JournalColumns = """
        SELECT id, silo, state, low_water AS lowWater, shipped_through AS shippedThrough, seen_ms AS seenAt, pending,
            (SELECT count(*) FROM quarantined_charges q WHERE q.journal_id = journals.id) AS quarantined
        FROM journals
        """;

    private const string ListSql = JournalColumns + " WHERE @before IS NULL OR id < @before ORDER BY id DESC LIMIT @limit";

    private const string FindSql = JournalColumns + " WHERE id = @journal";

    /// <returns>The rows that were really new, in order.</returns>
    public static async Task<IEnumerable<ChargeRow>> InsertAsync(DbTransaction transaction, List<ChargeRow> rows)
    {
        var places = await InsertCharges.RunAsync(transaction, rows.ConvertAll(row => row.Values));
        return places.Select(place => rows[place]);
    }

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

    /// <summary>The closed months from <paramref name="since"/> on, of all tenants: for a batch of this month, mostly none.</summary>
    public static async Task<ILookup<TenantId, int>> ReadClosedMonthsAsync(DbTransaction transaction, BillingMonth since) =>
        (await transaction.Connection!.QueryAsync<(TenantId Tenant, long Month)>(ReadClosedMonthsSql, new { since = since.Value }, transaction))
            .ToLookup(row => row.Tenant, row => (int)row.Month);

    /// <summary>From this transaction on, charges of the tenant that come late for the month are billed in the open one.</summary>
    public static Task CloseMonthAsync(DbTransaction transaction, TenantId tenant, BillingMonth month, DateTimeOffset now) =>
        transaction.Connection!.ExecuteAsync(CloseMonthSql, new { tenant, month = month.Value, now }, transaction);

    /// <summary>Makes the journal known before its first use, and others that cannot be open any more known as missing.</summary>
    /// <param name="transaction">An admin write.</param>
    /// <param name="journal">The journal.</param>
    /// <param name="silo">Who opens it.</param>
    /// <param name="othersWrite">False: this is the only silo, so every other open journal is gone; true: only this silo's own.</param>
    /// <param name="now">Now.</param>
    /// <returns>How it stands, and how many others went missing.</returns>
    public static async Task<(JournalStanding Standing, int Missing)> RegisterAsync(
        DbTransaction transaction, JournalId journal, string silo, bool othersWrite, DateTimeOffset now)
    {
        await transaction.Connection!.ExecuteAsync(RegisterSql, new { journal, silo, now }, transaction);
        var missing = await transaction.Connection!.ExecuteAsync(MarkMissingSql, new { journal, silo, othersWrite }, transaction);
        return ((await ReadStandingAsync(transaction, journal))!, missing);
    }

    /// <returns>Null: the ledger has never heard of the journal, or has forgotten it.</returns>
    public static Task<JournalStanding?> ReadStandingAsync(DbTransaction transaction, JournalId journal) =>
        transaction.Connection!.QuerySingleOrDefaultAsync<JournalStanding?>(ReadStandingSql, new { journal }, transaction);

    /// <summary>The ledger has forgotten that this process opened the journal; from now on it knows again.</summary>
    public static Task RegisterAgainAsync(DbTransaction transaction, JournalId journal, string silo, long epoch, DateTimeOffset now) =>
        transaction.Connection!.ExecuteAsync(RegisterAgainSql, new { journal, silo, epoch, now }, transaction);

    public static async Task<bool> IsKnownAsync(DbConnection connection, JournalId journal) =>
        await connection.QuerySingleAsync<long>(IsKnownSql, new { journal }) == 1;

    /// <summary>The silo still has the journal open, with so many charges in it that wait for the ledger; null: as before.</summary>
    public static Task NoteSeenAsync(DbTransaction transaction, JournalId journal, long epoch, DateTimeOffset now, long? pending = null) =>
        transaction.Connection!.ExecuteAsync(NoteSeenSql, new { journal, epoch, now, pending }, transaction);

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
            QuarantineSql, new { journal, seq = charge.Seq, payload = JournalEntry.Encode(charge.Charge), reason = reason.Replace('\0', '?'), now }, transaction);

    /// <summary>The journal is shipped to its end, and nobody has it open.</summary>
    public static Task CloseAsync(DbTransaction transaction, JournalId journal, long epoch) =>
        transaction.Connection!.ExecuteAsync(CloseSql, new { journal, epoch }, transaction);

    public static Task SetLowWaterAsync(DbTransaction transaction, JournalId journal, long lowWater) =>
        transaction.Connection!.ExecuteAsync(SetLowWaterSql, new { journal, lowWater }, transaction);

    public static async Task<IReadOnlyList<JournalRow>> ListAsync(DbConnection connection, JournalId? before, int limit) =>
        [.. await connection.QueryAsync<JournalRow>(ListSql, new { before, limit })];

    public static Task<JournalRow?> FindAsync(DbTransaction transaction, JournalId journal) =>
        transaction.Connection!.QuerySingleOrDefaultAsync<JournalRow?>(FindSql, new { journal }, transaction);

    public static async Task<IReadOnlyList<(long FirstSeq, long LastSeq, long Charges, byte[] Digest)>> ReadBatchesAsync(
        DbConnection connection, JournalId journal) =>
        [.. await connection.QueryAsync<(long, long, long, byte[])>(ReadBatchesSql, new { journal })];

    /// <summary>How far the ledger had the journal before an instant; looked for behind <paramref name="after"/>, 0 where there is nothing.</summary>
    public static Task<long> ReadShippedBeforeAsync(DbConnection connection, JournalId journal, long after, DateTimeOffset before) =>
        connection.QuerySingleAsync<long>(ReadShippedBeforeSql, new { journal, after, before });

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
            journal.Value,
            first,
            last);
    }
}

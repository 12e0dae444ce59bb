using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Domain.Statements;
using Dvara.Domain.Time;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Metering;
using Dvara.Server.Storage;

namespace Dvara.Server.Chargeback;

/// <summary>A closed month: no row enters it any more, and its statement has this number.</summary>
internal sealed record Closing(string Number, DateTimeOffset ClosedAt);

/// <summary>A statement as it is stored: what finds it, and its representation.</summary>
internal sealed record StoredStatement(StatementId Id, TenantId TenantId, StatementStatus Status, string FileName, byte[] Resource);

/// <summary>Statements of a list, and whether it ended before its limit.</summary>
internal sealed record StatementPage(IReadOnlyList<StoredStatement> Statements, bool More);

/// <summary>Which statements a list shows; null: not asked.</summary>
/// <param name="TenantId">Whose.</param>
/// <param name="Status">In which state.</param>
/// <param name="Within">Their own windows lie within it.</param>
/// <param name="Before">Older than this one, where the page before ended.</param>
internal sealed record StatementFilter(TenantId? TenantId, StatementStatus? Status, TimeWindow Within, StatementId? Before);

/// <summary>Closes months, and keeps statements. Nothing here is ever changed; the schema's triggers hold it.</summary>
internal sealed class StatementStore(Database database)
{
    private const string GiveNumber = """
        INSERT INTO statement_numbers (billing_month, ordinal, tenant_id)
        SELECT @month, COALESCE(MAX(ordinal), 0) + 1, @tenant FROM statement_numbers WHERE billing_month = @month
        ON CONFLICT (tenant_id, billing_month) DO NOTHING
        """;

    private const string FindClosing = """
        SELECT n.ordinal, c.closed_ms AS closedAt
        FROM statement_numbers n JOIN closed_months c ON c.tenant_id = n.tenant_id AND c.billing_month = n.billing_month
        WHERE n.tenant_id = @tenant AND n.billing_month = @month
        """;

    private const string InsertStatement = """
        INSERT INTO statements (id, tenant_id, status, number, billing_month, from_ms, to_ms, created_ms, resource)
        VALUES (@id, @tenant, @status, @number, @month, @from, @to, @createdAt, @resource)
        """;

    private const string InsertDocument = """
        INSERT INTO statement_documents (statement_id, format, sha256, bytes) VALUES (@id, @format, @sha256, @bytes)
        """;

    private const string FindFinal = """
        SELECT id FROM statements WHERE tenant_id = @tenant AND billing_month = @month AND status = 'FINAL'
        """;

    private const string Columns = "SELECT id, tenant_id AS tenantId, status, number, resource FROM statements";

    private const string Find = Columns + " WHERE id = @id";

    private const string ListNewestFirst = Columns + """

        WHERE (@tenant IS NULL OR tenant_id = @tenant) AND (@status IS NULL OR status = @status)
            AND from_ms >= @from AND to_ms <= @to AND (@before IS NULL OR id < @before)
        ORDER BY id DESC LIMIT @limit
        """;

    private const string FindDocument = """
        SELECT bytes FROM statement_documents WHERE statement_id = @id AND format = @format
        """;

    /// <summary>
    /// Closes the month and gives its number in one transaction, once: a repeat answers what was. From its commit on, the ledger writer
    /// bills later charges of the month in the next open one, so what the month consists of is fixed before it is read.
    /// </summary>
    public Task<Closing> CloseAsync(TenantId tenant, BillingMonth month, DateTimeOffset now, CancellationToken cancellationToken) =>
        database.WriteAsync(
            WriteLane.Admin,
            async transaction =>
            {
                var connection = transaction.Connection!;
                var parameters = new { tenant, month = month.Value };
                await database.LockLedgerAsync(transaction);
                await LedgerStore.CloseMonthAsync(transaction, tenant, month, now);
                await connection.ExecuteAsync(GiveNumber, parameters, transaction);
                var row = await connection.QuerySingleAsync<ClosingRow>(FindClosing, parameters, transaction);
                return new Closing(Statement.NumberOf(month, row.Ordinal), row.ClosedAt);
            },
            cancellationToken);

    /// <summary>The statement that closed the month, if it is made.</summary>
    public Task<StatementId?> FindFinalAsync(TenantId tenant, BillingMonth month, CancellationToken cancellationToken) =>
        database.ReadAsync(
            connection => connection.QuerySingleOrDefaultAsync<StatementId?>(FindFinal, new { tenant, month = month.Value }),
            cancellationToken);

    /// <summary>Stores a statement with its documents and its audit event.</summary>
    /// <returns>False: the month's final statement was there already, and nothing was stored.</returns>
    public async Task<bool> AddAsync(PrintedStatement print, AuditEvent auditEvent, CancellationToken cancellationToken)
    {
        try
        {
            await database.WriteAsync(WriteLane.Admin, Insert, cancellationToken);
            return true;
        }
        catch (DbException exception) when (database.IsUniqueViolation(exception))
        {
            return false;
        }

        async Task Insert(DbTransaction transaction)
        {
            var connection = transaction.Connection!;
            var statement = print.Statement;
            await connection.ExecuteAsync(
                InsertStatement,
                new
                {
                    id = statement.Id,
                    tenant = statement.TenantId,
                    status = statement.Status.ContractName(),
                    number = statement.Number,
                    month = statement.Number is null ? (int?)null : BillingMonth.Of(statement.Window.From).Value,
                    from = statement.Window.From,
                    to = statement.Window.To,
                    createdAt = statement.CreatedAt,
                    resource = print.Resource,
                },
                transaction);
            foreach (var document in print.Documents)
            {
                await connection.ExecuteAsync(
                    InsertDocument,
                    new { id = statement.Id, format = document.Format.Extension, sha256 = document.Sha256, bytes = document.Bytes },
                    transaction);
            }

            await AuditTrail.AppendAsync(transaction, auditEvent);
        }
    }

    public Task<StoredStatement?> FindAsync(StatementId id, CancellationToken cancellationToken) =>
        database.ReadAsync(
            async connection => (await connection.QuerySingleOrDefaultAsync<StatementRow>(Find, new { id }))?.ToStored(),
            cancellationToken);

    /// <summary>A page of the statements that match, newest first.</summary>
    /// <param name="filter">Which ones.</param>
    /// <param name="limit">Rows at most.</param>
    /// <param name="bytesMax">The page ends early when its statements are longer than this; one is always answered.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public Task<StatementPage> ListAsync(
        StatementFilter filter, int limit, long bytesMax, CancellationToken cancellationToken) =>
        database.ReadAsync(
            async connection =>
            {
                var page = new List<StoredStatement>();
                var parameters = new
                {
                    tenant = filter.TenantId,
                    status = filter.Status is { } status ? status.ContractName() : null,
                    from = filter.Within.From,
                    to = filter.Within.To,
                    before = filter.Before,
                    limit,
                };
                await foreach (var row in connection.QueryUnbufferedAsync<StatementRow>(ListNewestFirst, parameters)
                    .WithCancellation(cancellationToken))
                {
                    page.Add(row.ToStored());
                    bytesMax -= row.Resource.Length;
                    if (bytesMax < 0)
                    {
                        return new StatementPage(page, More: true);
                    }
                }

                return new StatementPage(page, More: false);
            },
            cancellationToken);

    /// <summary>The bytes of a download. Every statement but a failed one has them.</summary>
    public Task<byte[]> FindDocumentAsync(StatementId id, DocumentFormat format, CancellationToken cancellationToken) =>
        database.ReadAsync(
            connection => connection.QuerySingleAsync<byte[]>(FindDocument, new { id, format = format.Extension }), cancellationToken);

    private sealed class ClosingRow
    {
        public long Ordinal { get; init; }

        public DateTimeOffset ClosedAt { get; init; }
    }

    private sealed class StatementRow
    {
        public StatementId Id { get; init; }

        public TenantId TenantId { get; init; }

        public StatementStatus Status { get; init; }

        public string? Number { get; init; }

        public byte[] Resource { get; init; } = [];

        public StoredStatement ToStored() => new(Id, TenantId, Status, Number ?? Id.ToString(), Resource);
    }
}

using System.Data.Common;
using System.Text.Json;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Storage;

namespace Dvara.Server.Tenants;

/// <summary>All SQL of tenants. Every write announces itself on <see cref="TenantDirectory.ChangeTopic"/>.</summary>
internal sealed class TenantStore(Database database)
{
    private const string Columns = """
        SELECT id, name, status, region, metadata, tags, created_at_ms AS createdAt, updated_at_ms AS updatedAt FROM tenants
        """;

    private const string ById = Columns + " WHERE id = @id";

    private const string NameById = "SELECT name FROM tenants WHERE id = @id";

    private const string Matching = Columns + """
         WHERE (@only IS NULL OR id = @only) AND (@before IS NULL OR id < @before)
          AND (@name IS NULL OR name = @name) AND (@status IS NULL OR status = @status)
        """;

    private const string NewestOnSqlite = Matching + """
         AND NOT EXISTS (
            SELECT 1 FROM json_each(@metadata) AS wanted
            WHERE NOT EXISTS (SELECT 1 FROM json_each(tenants.metadata) AS had WHERE had.key = wanted.key AND had.value = wanted.value))
        ORDER BY id DESC LIMIT @limit
        """;

    private const string NewestOnPostgres = Matching + " AND metadata::jsonb @> @metadata::jsonb ORDER BY id DESC LIMIT @limit";

    private const string InsertTenant = """
        INSERT INTO tenants (id, name, status, region, metadata, tags, created_at_ms, updated_at_ms)
        VALUES (@id, @name, @status, @region, @metadata, @tags, @createdAt, @updatedAt)
        """;

    private const string UpdateTenant = """
        UPDATE tenants SET name = @name, status = @status, region = @region, metadata = @metadata, tags = @tags, updated_at_ms = @updatedAt
        WHERE id = @id
        """;

    public async Task<Tenant?> FindAsync(TenantId id, CancellationToken cancellationToken)
    {
        var row = await database.ReadAsync(c => c.QuerySingleOrDefaultAsync<Row>(ById, new { id }), cancellationToken);
        return row?.ToTenant();
    }

    public Task<string?> FindNameAsync(TenantId id, CancellationToken cancellationToken) =>
        database.ReadAsync(c => c.QuerySingleOrDefaultAsync<string?>(NameById, new { id }), cancellationToken);

    /// <param name="filter">Which tenants.</param>
    /// <param name="before">Only tenants older than it.</param>
    /// <param name="limit">At most so many, newest first.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public async Task<List<Tenant>> ListAsync(TenantFilter filter, TenantId? before, int limit, CancellationToken cancellationToken)
    {
        var parameters = new
        {
            only = filter.Only,
            before,
            name = filter.Name,
            status = filter.Status?.ContractName(),
            metadata = ToJson(filter.Metadata),
            limit,
        };
        var newest = database.IsCluster ? NewestOnPostgres : NewestOnSqlite;
        var rows = await database.ReadAsync(c => c.QueryAsync<Row>(newest, parameters), cancellationToken);
        return [.. rows.Select(row => row.ToTenant())];
    }

    public Task InsertAsync(Tenant tenant, AuditEvent created, CancellationToken cancellationToken) =>
        database.WriteAsync(WriteLane.Admin, transaction => WriteAsync(transaction, InsertTenant, tenant, created), cancellationToken);

    /// <summary>Changes a tenant. The decision sees what the transaction sees, so that no other change comes in between.</summary>
    /// <param name="id">The tenant.</param>
    /// <param name="decide">Gets the tenant as it is (null: no such); answers with what it becomes, or with the refusal.</param>
    /// <param name="changed">Makes the event of a change from the first to the second; not asked where nothing differs.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    /// <returns>The tenant as it is now, or the refusal.</returns>
    public Task<(Tenant? Tenant, ApiError? Error)> ChangeAsync(
        TenantId id,
        Func<Tenant?, (Tenant? Next, ApiError? Error)> decide,
        Func<Tenant, Tenant, AuditEvent> changed,
        CancellationToken cancellationToken) => database.WriteAsync(
            WriteLane.Admin,
            async transaction =>
            {
                var before = (await transaction.Connection!.QuerySingleOrDefaultAsync<Row>(ById, new { id }, transaction))?.ToTenant();
                var (next, error) = decide(before);
                if (error is not null || before!.ChangesTo(next!).Count == 0)
                {
                    return (before, error);
                }

                await WriteAsync(transaction, UpdateTenant, next!, changed(before, next!));
                return (next, null);
            },
            cancellationToken);

    private static async Task WriteAsync(DbTransaction transaction, string statement, Tenant tenant, AuditEvent auditEvent)
    {
        await transaction.Connection!.ExecuteAsync(
            statement,
            new
            {
                id = tenant.Id,
                name = tenant.Name,
                status = tenant.Status.ContractName(),
                region = tenant.Region,
                metadata = ToJson(tenant.Metadata),
                tags = ToJson(tenant.Tags),
                createdAt = tenant.CreatedAt,
                updatedAt = tenant.UpdatedAt,
            },
            transaction);
        await AuditTrail.AppendAsync(transaction, auditEvent);
        await ChangeFeed.AnnounceAsync(transaction, TenantDirectory.ChangeTopic, tenant.Id.ToString());
    }

    private static string ToJson(IReadOnlyDictionary<string, string> map) => JsonSerializer.Serialize(map, AdminJson.Options);

    private sealed class Row
    {
        public TenantId Id { get; init; }

        public string Name { get; init; } = "";

        public string Status { get; init; } = "";

        public string? Region { get; init; }

        public string Metadata { get; init; } = "";

        public string Tags { get; init; } = "";

        public DateTimeOffset CreatedAt { get; init; }

        public DateTimeOffset UpdatedAt { get; init; }

        public Tenant ToTenant() => new()
        {
            Id = Id,
            Name = Name,
            Status = ContractNames.Parse<TenantStatus>(Status)
                ?? throw new InvalidOperationException($"Tenant {Id} has the status {Status}, which this version does not know."),
            Region = Region,
            Metadata = FromJson(Metadata),
            Tags = FromJson(Tags),
            CreatedAt = CreatedAt,
            UpdatedAt = UpdatedAt,
        };

        private static Dictionary<string, string> FromJson(string json) =>
            JsonSerializer.Deserialize<Dictionary<string, string>>(json, AdminJson.Options)!;
    }
}

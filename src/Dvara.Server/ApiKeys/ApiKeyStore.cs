using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Storage;
using Dvara.Server.Tenants;

namespace Dvara.Server.ApiKeys;

/// <summary>All SQL of API keys.</summary>
internal sealed class ApiKeyStore(Database database)
{
    /// <summary>The change feed's topic; the subject is the key's hash in hexadecimal.</summary>
    public const string Topic = "api-key";

    private const string Columns = """
        SELECT id, tenant_id AS tenantId, coalesce(line_id, id) AS line, name, hash, prefix, status, hidden, scopes, models, tags, expires_at_ms AS expiresAt,
            last_used_ms AS lastUsedAt, created_at_ms AS createdAt, updated_at_ms AS updatedAt
        FROM api_keys
        """;

    private const string VisibleById = Columns + " WHERE id = @id AND tenant_id = @tenantId AND NOT hidden";

    private const string Newest = Columns + """
         WHERE tenant_id = @tenantId AND NOT hidden AND (@before IS NULL OR id < @before)
        ORDER BY id DESC LIMIT @limit
        """;

    private const string IsHashKnown = "SELECT count(*) FROM api_keys WHERE hash = @hash";

    private const string StatusOfTenant = "SELECT status FROM tenants WHERE id = @tenantId";

    private const string NamesOfTenant = "SELECT id, name FROM api_keys WHERE tenant_id = @tenantId";

    // One statement, so the number and the row are of one moment.
    private const string IdentityByHash = """
        SELECT c.value AS change, k.id, k.tenant_id AS tenantId, k.line_id AS line, k.status, k.expires_at_ms AS expiresAt, k.scopes, k.models, k.tags,
            t.status AS tenantStatus, t.tags AS tenantTags, t.metadata AS tenantMetadata
        FROM change_counter c LEFT JOIN api_keys k ON k.hash = @hash LEFT JOIN tenants t ON t.id = k.tenant_id
        """;

    private const string InsertKey = """
        INSERT INTO api_keys (id, tenant_id, line_id, name, hash, prefix, status, hidden, scopes, models, tags, expires_at_ms, created_at_ms, updated_at_ms)
        VALUES (@id, @tenantId, @line, @name, @hash, @prefix, @status, @hidden, @scopes, @models, @tags, @expiresAt, @createdAt, @updatedAt)
        """;

    private const string UpdateKey = """
        UPDATE api_keys
        SET name = @name, status = @status, hidden = @hidden, scopes = @scopes, models = @models, tags = @tags,
            expires_at_ms = @expiresAt, updated_at_ms = @updatedAt
        WHERE id = @id
        """;

    // Names are unique among active keys, and a key that has expired is not active, whatever its row still says.
    private const string FreeNameOfExpired = """
        UPDATE api_keys SET status = 'EXPIRED'
        WHERE tenant_id = @tenantId AND name = @name AND status = 'ACTIVE' AND expires_at_ms <= @now
        """;

    // Another node may have written a later use already.
    private const string NoteUse = """
        UPDATE api_keys SET last_used_ms = @atMs WHERE id = @id AND (last_used_ms IS NULL OR last_used_ms < @atMs)
        """;

    public async Task<bool> TenantExistsAsync(TenantId tenantId, CancellationToken cancellationToken) =>
        await database.ReadAsync(c => c.QuerySingleOrDefaultAsync<string>(StatusOfTenant, new { tenantId }), cancellationToken) is not null;

    public async Task<ApiKey?> FindAsync(TenantId tenantId, ApiKeyId id, CancellationToken cancellationToken)
    {
        var row = await database.ReadAsync(c => c.QuerySingleOrDefaultAsync<ApiKeyRow>(VisibleById, new { id, tenantId }), cancellationToken);
        return row?.ToKey();
    }

    /// <param name="tenantId">Whose keys.</param>
    /// <param name="before">Only keys older than it.</param>
    /// <param name="limit">At most so many, newest first.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public async Task<List<ApiKey>> ListAsync(TenantId tenantId, ApiKeyId? before, int limit, CancellationToken cancellationToken)
    {
        var rows = await database.ReadAsync(c => c.QueryAsync<ApiKeyRow>(Newest, new { tenantId, before, limit }), cancellationToken);
        return [.. rows.Select(row => row.ToKey())];
    }

    public async Task<IReadOnlyDictionary<ApiKeyId, string>> NamesAsync(TenantId tenantId, CancellationToken cancellationToken)
    {
        var rows = await database.ReadAsync(c => c.QueryAsync<(ApiKeyId Id, string Name)>(NamesOfTenant, new { tenantId }), cancellationToken);
        return rows.ToDictionary(row => row.Id, row => row.Name);
    }

    /// <returns>Whose key it is, and the last change that the answer contains.</returns>
    public async Task<(ApiKeyIdentity? Identity, long Change)> IdentifyAsync(KeyHash hash, CancellationToken cancellationToken)
    {
        var row = await database.LookUpAsync(
            c => c.QuerySingleAsync<IdentityRow>(IdentityByHash, new { hash = hash.ToArray() }), cancellationToken);
        return (row.ToIdentity(), row.Change);
    }

    /// <returns>The 404 or 409, or null when the key is stored.</returns>
    public Task<ApiError?> InsertAsync(HashedKey key, AuditEvent created, CancellationToken cancellationToken) => WriteAsync(
        async transaction =>
        {
            if (await RefuseNewAsync(transaction, key) is { } refusal)
            {
                return refusal;
            }

            await InsertAsync(transaction, key);
            await AuditTrail.AppendAsync(transaction, created);
            return null;
        },
        cancellationToken);

    /// <summary>Changes a key. The decision sees the row that is changed, so nothing comes in between.</summary>
    /// <param name="tenantId">Whose key.</param>
    /// <param name="id">The key.</param>
    /// <param name="decide">What to do with the key as it is, or why not.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    /// <returns>The change, or the 404 or whatever was decided against it.</returns>
    public async Task<(ApiKeyChange? Change, ApiError? Error)> ChangeAsync(
        TenantId tenantId, ApiKeyId id, Func<ApiKey, (ApiKeyChange? Change, ApiError? Error)> decide, CancellationToken cancellationToken)
    {
        ApiKeyChange? change = null;
        var error = await WriteAsync(
            async transaction =>
            {
                var row = await transaction.Connection!.QuerySingleOrDefaultAsync<ApiKeyRow>(VisibleById, new { id, tenantId }, transaction);
                if (row is null)
                {
                    return ApiError.NotFound("API key");
                }

                (change, var refusal) = decide(row.ToKey());
                refusal ??= change is { Successor: { } successor } ? await RefuseNewAsync(transaction, successor) : null;
                if (refusal is null && change!.Event is { } auditEvent)
                {
                    await ApplyAsync(transaction, change, row.Hash);
                    await AuditTrail.AppendAsync(transaction, auditEvent);
                }

                return refusal;
            },
            cancellationToken);
        return error is null ? (change, null) : (null, error);
    }

    public Task NoteUsesAsync(IReadOnlyList<(ApiKeyId Id, long AtMs)> uses, CancellationToken cancellationToken) => database.WriteAsync(
        WriteLane.Admin,
        transaction => transaction.Connection!.ExecuteAsync(NoteUse, uses.Select(use => new { id = use.Id, atMs = use.AtMs }), transaction),
        cancellationToken);

    private static async Task<ApiError?> RefuseNewAsync(DbTransaction transaction, HashedKey key)
    {
        var connection = transaction.Connection!;
        var status = await connection.QuerySingleOrDefaultAsync<string>(StatusOfTenant, new { tenantId = key.Key.TenantId }, transaction);
        if (status is null)
        {
            return ApiError.NotFound("tenant");
        }

        if (ContractNames.Parse<TenantStatus>(status) is null or TenantStatus.Closed)
        {
            return ApiError.Conflict("The tenant is closed; it gets no new keys.");
        }

        return await connection.QuerySingleAsync<long>(IsHashKnown, new { hash = key.Hash.ToArray() }, transaction) > 0
            ? ApiError.Conflict("A key with this sha256 exists already; every key belongs to one tenant and is imported once.")
            : null;
    }

    private static async Task InsertAsync(DbTransaction transaction, HashedKey key)
    {
        await FreeNameAsync(transaction, key.Key);
        await transaction.Connection!.ExecuteAsync(InsertKey, ApiKeyRow.Parameters(key.Key, key.Hash.ToArray()), transaction);
        // Somebody may have tried the key before it existed here: that answer is cached too.
        await ChangeFeed.AnnounceAsync(transaction, Topic, key.Hash.ToString());
    }

    private static async Task ApplyAsync(DbTransaction transaction, ApiKeyChange change, byte[] hash)
    {
        await FreeNameAsync(transaction, change.Key);
        await transaction.Connection!.ExecuteAsync(UpdateKey, ApiKeyRow.Parameters(change.Key, hash), transaction);
        await ChangeFeed.AnnounceAsync(transaction, Topic, Convert.ToHexStringLower(hash));
        if (change.Successor is { } successor)
        {
            await InsertAsync(transaction, successor);
        }
    }

    private static async Task FreeNameAsync(DbTransaction transaction, ApiKey key)
    {
        if (key.Status == ApiKeyStatus.Active)
        {
            await transaction.Connection!.ExecuteAsync(
                FreeNameOfExpired, new { tenantId = key.TenantId, name = key.Attributes.Name, now = key.UpdatedAt }, transaction);
        }
    }

    private async Task<ApiError?> WriteAsync(Func<DbTransaction, Task<ApiError?>> write, CancellationToken cancellationToken)
    {
        try
        {
            return await database.WriteAsync(WriteLane.Admin, write, cancellationToken);
        }
        catch (Exception exception) when (database.IsUniqueViolation(exception))
        {
            return ApiError.Conflict("The tenant has an active key of this name; choose another name, or revoke or rotate that key.");
        }
    }

    private sealed class IdentityRow
    {
        public long Change { get; init; }

        public ApiKeyId? Id { get; init; }

        public TenantId? TenantId { get; init; }

        public KeyLineId? Line { get; init; }

        public string Status { get; init; } = "";

        public DateTimeOffset? ExpiresAt { get; init; }

        public string Scopes { get; init; } = "";

        public string Models { get; init; } = "";

        public string Tags { get; init; } = "";

        public string? TenantStatus { get; init; }

        public string TenantTags { get; init; } = "";

        public string TenantMetadata { get; init; } = "";

        public ApiKeyIdentity? ToIdentity() => Id is null || TenantId is null || TenantStatus is null ? null : new()
        {
            KeyId = Id.Value.Value,
            TenantId = TenantId.Value.Value,
            FirstKeyId = Line?.Value,
            Status = ApiKeyRow.ParseStatus(Status),
            ExpiresAt = ExpiresAt,
            Scopes = ApiKeyRow.Parse<string[]>(Scopes),
            Models = ApiKeyRow.Parse<string[]>(Models),
            Tags = ApiKeyRow.Parse<Dictionary<string, string>>(Tags),
            // Fails closed: a status that this version does not know lets nobody in.
            TenantStatus = ContractNames.Parse<TenantStatus>(TenantStatus) ?? Tenants.TenantStatus.Closed,
            TenantTags = ApiKeyRow.Parse<Dictionary<string, string>>(TenantTags),
            TenantMetadata = ApiKeyRow.Parse<Dictionary<string, string>>(TenantMetadata),
        };
    }
}

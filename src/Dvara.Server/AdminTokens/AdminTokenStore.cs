using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Audit;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Storage;

namespace Dvara.Server.AdminTokens;

/// <summary>All SQL of admin tokens.</summary>
internal sealed class AdminTokenStore(Database database)
{
    private const string Columns = """
        SELECT id, name, role, scopes, tenant_id AS tenantId, expires_at_ms AS expiresAt, last_used_ms AS lastUsedAt, created_at_ms AS createdAt
        FROM admin_tokens
        """;

    private const string ById = Columns + " WHERE id = @id";

    private const string Owners = Columns + " WHERE role = 'owner'";

    private const string ByHash = Columns + " WHERE hash = @hash";

    private const string Newest = Columns + """
         WHERE (@tenantId IS NULL OR tenant_id = @tenantId) AND (@before IS NULL OR id < @before)
        ORDER BY id DESC LIMIT @limit
        """;

    private const string InsertToken = """
        INSERT INTO admin_tokens (id, name, hash, role, scopes, tenant_id, bootstrap, expires_at_ms, created_at_ms)
        VALUES (@id, @name, @hash, @role, @scopes, @tenantId, @bootstrap, @expiresAt, @createdAt)
        """;

    private const string DeleteToken = "DELETE FROM admin_tokens WHERE id = @id";

    // Another node may have written a later use already.
    private const string NoteUse = """
        UPDATE admin_tokens SET last_used_ms = @at WHERE id = @id AND (last_used_ms IS NULL OR last_used_ms < @at)
        """;

    private const string CountTokens = "SELECT count(*) FROM admin_tokens";

    private const string CountBootstrapTokens = "SELECT count(*) FROM admin_tokens WHERE bootstrap";

    private const string ReplaceBootstrapHash = "UPDATE admin_tokens SET hash = @hash WHERE bootstrap";

    public async Task<AdminToken?> FindByHashAsync(byte[] hash, CancellationToken cancellationToken)
    {
        var row = await database.ReadAsync(c => c.QuerySingleOrDefaultAsync<Row>(ByHash, new { hash }), cancellationToken);
        return row?.ToToken();
    }

    /// <summary>True once the installation has been started: its last owner cannot be deleted.</summary>
    public async Task<bool> AnyAsync(CancellationToken cancellationToken) =>
        await database.ReadAsync(c => c.QuerySingleAsync<long>(CountTokens), cancellationToken) > 0;

    public async Task<AdminToken?> FindAsync(AdminTokenId id, CancellationToken cancellationToken)
    {
        var row = await database.ReadAsync(c => c.QuerySingleOrDefaultAsync<Row>(ById, new { id }), cancellationToken);
        return row?.ToToken();
    }

    /// <param name="tenantId">Only tokens narrowed to it; null: all.</param>
    /// <param name="before">Only tokens older than it.</param>
    /// <param name="limit">At most so many, newest first.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public async Task<List<AdminToken>> ListAsync(
        TenantId? tenantId, AdminTokenId? before, int limit, CancellationToken cancellationToken)
    {
        var rows = await database.ReadAsync(c => c.QueryAsync<Row>(Newest, new { tenantId, before, limit }), cancellationToken);
        return [.. rows.Select(row => row.ToToken())];
    }

    /// <summary>
    /// Makes the fixed token of the settings the bootstrap token. On one node the one before it, if another, stops working; in a cluster the
    /// other silos have that one, so it stays.
    /// </summary>
    /// <returns>False: the cluster has another.</returns>
    public Task<bool> FixBootstrapAsync(AdminToken token, byte[] hash, AuditEvent created, CancellationToken cancellationToken) =>
        database.WriteAsync(
            WriteLane.Admin,
            async transaction =>
            {
                var connection = transaction.Connection!;
                if (await connection.QuerySingleOrDefaultAsync<Row>(ByHash, new { hash }, transaction) is not null)
                {
                    return true;
                }

                if (database.IsCluster && await connection.QuerySingleAsync<long>(CountBootstrapTokens, transaction: transaction) > 0)
                {
                    return false;
                }

                if (await connection.ExecuteAsync(ReplaceBootstrapHash, new { hash }, transaction) == 0)
                {
                    await InsertAsync(transaction, token, hash, bootstrap: true);
                    await AuditTrail.AppendAsync(transaction, created);
                }

                return true;
            },
            cancellationToken);

    /// <summary>Inserts the first token of the installation.</summary>
    /// <returns>False when there is a token already: the installation was started before.</returns>
    public Task<bool> InsertFirstAsync(AdminToken token, byte[] hash, AuditEvent created, CancellationToken cancellationToken) =>
        database.WriteAsync(
            WriteLane.Admin,
            async transaction =>
            {
                if (await transaction.Connection!.QuerySingleAsync<long>(CountTokens, transaction: transaction) > 0)
                {
                    return false;
                }

                await InsertAsync(transaction, token, hash, bootstrap: true);
                await AuditTrail.AppendAsync(transaction, created);
                return true;
            },
            cancellationToken);

    public Task InsertAsync(AdminToken token, byte[] hash, AuditEvent created, CancellationToken cancellationToken) =>
        database.WriteAsync(
            WriteLane.Admin,
            async transaction =>
            {
                await InsertAsync(transaction, token, hash, bootstrap: false);
                await AuditTrail.AppendAsync(transaction, created);
            },
            cancellationToken);

    /// <summary>Deletes a token. The decision sees what the transaction sees, so that two deletions cannot each leave the other as the last owner.</summary>
    /// <param name="id">The token.</param>
    /// <param name="refuse">Gets the token (null: no such) and every owner token; answers with the refusal, or null to go ahead.</param>
    /// <param name="deleted">Makes the event of the deletion.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public Task<ApiError?> DeleteAsync(
        AdminTokenId id,
        Func<AdminToken?, IReadOnlyList<AdminToken>, ApiError?> refuse,
        Func<AdminToken, AuditEvent> deleted,
        CancellationToken cancellationToken) => database.WriteAsync(
            WriteLane.Admin,
            async transaction =>
            {
                var connection = transaction.Connection!;
                var token = (await connection.QuerySingleOrDefaultAsync<Row>(ById, new { id }, transaction))?.ToToken();
                var owners = await connection.QueryAsync<Row>(Owners, transaction: transaction);
                if (refuse(token, [.. owners.Select(row => row.ToToken())]) is { } refusal)
                {
                    return refusal;
                }

                await connection.ExecuteAsync(DeleteToken, new { id }, transaction);
                await AuditTrail.AppendAsync(transaction, deleted(token!));
                return null;
            },
            cancellationToken);

    public Task NoteUsesAsync(IReadOnlyList<KeyValuePair<AdminTokenId, DateTimeOffset>> uses, CancellationToken cancellationToken) =>
        database.WriteAsync(
            WriteLane.Admin,
            transaction => transaction.Connection!.ExecuteAsync(NoteUse, uses.Select(use => new { id = use.Key, at = use.Value }), transaction),
            cancellationToken);

    private static Task<int> InsertAsync(DbTransaction transaction, AdminToken token, byte[] hash, bool bootstrap) =>
        transaction.Connection!.ExecuteAsync(
            InsertToken,
            new
            {
                id = token.Id,
                name = token.Name,
                hash,
                role = token.Role?.Name(),
                scopes = token.Role is null ? string.Join(' ', token.Scopes.Order(StringComparer.Ordinal)) : "",
                tenantId = token.TenantId,
                bootstrap,
                expiresAt = token.ExpiresAt,
                createdAt = token.CreatedAt,
            },
            transaction);

    private sealed class Row
    {
        public AdminTokenId Id { get; init; }

        public string Name { get; init; } = "";

        public string? Role { get; init; }

        public string Scopes { get; init; } = "";

        public TenantId? TenantId { get; init; }

        public DateTimeOffset? ExpiresAt { get; init; }

        public DateTimeOffset? LastUsedAt { get; init; }

        public DateTimeOffset CreatedAt { get; init; }

        public AdminToken ToToken()
        {
            AdminRole? role = Role is null ? null : AdminRoles.Parse(Role);
            return new()
            {
                Id = Id,
                Name = Name,
                Role = role,
                // Fails closed: a role that this version does not know has no scopes.
                Scopes = role?.Scopes() ?? Scopes.Split(' ', StringSplitOptions.RemoveEmptyEntries).ToHashSet(),
                TenantId = TenantId,
                ExpiresAt = ExpiresAt,
                LastUsedAt = LastUsedAt,
                CreatedAt = CreatedAt,
            };
        }
    }
}

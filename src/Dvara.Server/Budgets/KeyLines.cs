using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Npgsql;

namespace Dvara.Server.Budgets;

/// <summary>
/// Which line a key is of. That never changes, so what was read once is kept. For one caller at a time: the ledger's feed has its batches
/// one after the other.
/// </summary>
internal sealed class KeyLines
{
    /// <summary>Beyond so many keys they are read anew; about 100 bytes each.</summary>
    private const int KnownMax = 50_000;

    private const string Columns = "SELECT id, coalesce(line_id, id) AS line FROM api_keys";

    private const string FindSql = Columns + " WHERE id = @key";

    // PostgreSQL's: SQLite has neither arrays nor round trips to save.
    private const string FindAllSql = Columns + " WHERE id = ANY(@keys)";

    private readonly Dictionary<ApiKeyId, KeyLineId> _known = [];

    /// <summary>The line of each of <paramref name="keys"/>. A database that was restored may not have a key any more: that is a line of its own.</summary>
    public async Task<IReadOnlyDictionary<ApiKeyId, KeyLineId>> FindAsync(DbTransaction transaction, IEnumerable<ApiKeyId> keys)
    {
        if (_known.Count > KnownMax)
        {
            _known.Clear();
        }

        var asked = keys.ToHashSet();
        List<ApiKeyId> unknown = [.. asked.Where(key => !_known.ContainsKey(key))];
        if (unknown.Count > 0)
        {
            foreach (var (key, line) in await ReadAsync(transaction, unknown))
            {
                _known[key] = line;
            }
        }

        return asked.ToDictionary(key => key, key => _known.GetValueOrDefault(key, KeyLineId.Of(key)));
    }

    private static async Task<IReadOnlyList<(ApiKeyId Key, KeyLineId Line)>> ReadAsync(DbTransaction transaction, List<ApiKeyId> keys)
    {
        var connection = transaction.Connection!;
        if (connection is NpgsqlConnection)
        {
            return [.. await connection.QueryAsync<(ApiKeyId, KeyLineId)>(FindAllSql, new { keys = keys.Select(key => key.Value).ToArray() }, transaction)];
        }

        var read = new List<(ApiKeyId, KeyLineId)>(keys.Count);
        foreach (var key in keys)
        {
            read.AddRange(await connection.QueryAsync<(ApiKeyId, KeyLineId)>(FindSql, new { key }, transaction));
        }

        return read;
    }
}

using System.Collections.Concurrent;
using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Npgsql;

namespace Dvara.Server.Budgets;

/// <summary>Which line a key is of. That never changes, so what was read once is kept.</summary>
internal sealed class KeyLines
{
    /// <summary>More keys than this are read again now and then; about 100 bytes each.</summary>
    private const int KnownMax = 50_000;

    private const string Columns = "SELECT id, coalesce(line_id, id) AS line FROM api_keys";

    private const string FindSql = Columns + " WHERE id = @key";

    private const string FindAllSql = Columns + " WHERE id = ANY(@keys)";

    private readonly ConcurrentDictionary<ApiKeyId, KeyLineId> _known = new();

    /// <summary>The lines of <paramref name="keys"/>; without those that the database does not have.</summary>
    public async Task<IReadOnlyDictionary<ApiKeyId, KeyLineId>> FindAsync(DbTransaction transaction, IEnumerable<ApiKeyId> keys)
    {
        var found = new Dictionary<ApiKeyId, KeyLineId>();
        var unknown = new List<ApiKeyId>();
        foreach (var key in keys.Distinct())
        {
            if (_known.TryGetValue(key, out var line))
            {
                found.Add(key, line);
            }
            else
            {
                unknown.Add(key);
            }
        }

        if (unknown.Count == 0)
        {
            return found;
        }

        if (_known.Count + unknown.Count > KnownMax)
        {
            _known.Clear();
        }

        foreach (var (key, line) in await ReadAsync(transaction, unknown))
        {
            found[key] = _known[key] = line;
        }

        return found;
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

using System.Data.Common;
using Microsoft.Data.Sqlite;
using Npgsql;

namespace Dvara.Server.Storage;

/// <summary>What a column of a <see cref="BulkInsert"/> holds; any of them may be null.</summary>
internal enum BulkType
{
    /// <summary><see cref="Guid"/>.</summary>
    Id,

    /// <summary><see cref="long"/>.</summary>
    Number,

    /// <summary><see cref="string"/>, without U+0000 and half surrogates, which PostgreSQL refuses.</summary>
    Text,
}

/// <summary>
/// One <c>INSERT</c> for many rows. SQLite runs it row by row, prepared once; PostgreSQL gets one statement with an array per column, so
/// that a batch costs one round trip however long it is.
/// </summary>
internal sealed class BulkInsert
{
    private readonly IReadOnlyList<(string Name, BulkType Type)> _columns;
    private readonly int[] _returned;
    private readonly string _sqlite;
    private readonly string _postgres;

    /// <param name="table">Into which table.</param>
    /// <param name="columns">In the order of the values of a row.</param>
    /// <param name="onConflict">What follows <c>ON CONFLICT</c>.</param>
    /// <param name="key">Columns that tell the rows of one call apart; needed only where the caller asks which rows went in.</param>
    public BulkInsert(string table, IReadOnlyList<(string Name, BulkType Type)> columns, string onConflict, params string[] key)
    {
        var names = columns.Select(column => column.Name).ToList();
        _columns = columns;
        _returned = [.. key.Select(column => names.IndexOf(column))];
        var into = $"INSERT INTO {table} ({string.Join(", ", names)})";
        _sqlite = $"{into} VALUES ({string.Join(", ", names.Select(name => "@" + name))}) ON CONFLICT {onConflict}";
        var arrays = columns.Select((column, i) => $"${i + 1}::{ArrayType(column.Type)}");
        var returning = key.Length == 0 ? "" : $" RETURNING {string.Join(", ", key)}";
        _postgres = $"{into} SELECT * FROM unnest({string.Join(", ", arrays)}) ON CONFLICT {onConflict}{returning}";
    }

    /// <returns>The places of the rows that went in or changed one, in order; without a key, PostgreSQL does not tell and answers none.</returns>
    public async Task<IReadOnlyList<int>> RunAsync(DbTransaction transaction, IReadOnlyList<object?[]> rows) =>
        rows.Count == 0 ? []
        : transaction.Connection is NpgsqlConnection postgres ? await RunAsync(postgres, rows)
        : Run((SqliteConnection)transaction.Connection!, rows);

    private List<int> Run(SqliteConnection connection, IReadOnlyList<object?[]> rows)
    {
        using var insert = new PreparedWrite(connection, _sqlite);
        var places = new List<int>(rows.Count);
        for (var i = 0; i < rows.Count; i++)
        {
            if (insert.Run(rows[i]) == 1)
            {
                places.Add(i);
            }
        }

        return places;
    }

    private async Task<List<int>> RunAsync(NpgsqlConnection connection, IReadOnlyList<object?[]> rows)
    {
        await using var command = new NpgsqlCommand(_postgres, connection);
        for (var i = 0; i < _columns.Count; i++)
        {
            command.Parameters.Add(_columns[i].Type switch
            {
                BulkType.Id => new NpgsqlParameter<Guid?[]> { TypedValue = ColumnOf<Guid?>(rows, i) },
                BulkType.Number => new NpgsqlParameter<long?[]> { TypedValue = ColumnOf<long?>(rows, i) },
                _ => new NpgsqlParameter<string?[]> { TypedValue = ColumnOf<string?>(rows, i) },
            });
        }

        if (_returned.Length == 0)
        {
            await command.ExecuteNonQueryAsync();
            return [];
        }

        // Of rows with the same key the first one went in.
        var placeOf = new Dictionary<string, int>(rows.Count);
        for (var i = 0; i < rows.Count; i++)
        {
            placeOf.TryAdd(string.Join('\n', _returned.Select(column => rows[i][column])), i);
        }

        var places = new List<int>(rows.Count);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            places.Add(placeOf[string.Join('\n', Enumerable.Range(0, reader.FieldCount).Select(reader.GetValue))]);
        }

        places.Sort();
        return places;
    }

    private static T[] ColumnOf<T>(IReadOnlyList<object?[]> rows, int column)
    {
        var values = new T[rows.Count];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (T)rows[i][column]!;
        }

        return values;
    }

    private static string ArrayType(BulkType type) => type switch
    {
        BulkType.Id => "uuid[]",
        BulkType.Number => "bigint[]",
        _ => "text[]",
    };
}

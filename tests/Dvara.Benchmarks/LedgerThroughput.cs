using System.Data.Common;
using System.Diagnostics;
using System.Globalization;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Time;
using Dvara.Server.Hosting;
using Dvara.Server.Metering;
using Dvara.Server.Storage;
using Dvara.Testing;
using Npgsql;
using NpgsqlTypes;

namespace Dvara.Benchmarks;

/// <summary>
/// Charges per second into the ledger, rollups, seals and all, beside the same rows by a plain insert of many rows and by COPY: everything
/// in transactions of the same size, in turns, each into a database of its own.
/// </summary>
internal static class LedgerThroughput
{
    private const int BatchRows = 2_000;
    private const int Rounds = 3;

    private static readonly DateTimeOffset Now = new(2026, 11, 15, 12, 0, 0, TimeSpan.Zero);

    public static async Task<int> RunAsync(int charges)
    {
        var modes = new (string Name, Func<Task<double>> MeasureAsync)[]
        {
            ("PostgreSQL, plain insert of many rows", () => OnPostgresAsync(charges, writers: 1, InsertAsync)),
            ("PostgreSQL, COPY", () => OnPostgresAsync(charges, writers: 1, CopyAsync)),
            ("PostgreSQL, ledger, one writer", () => OnPostgresAsync(charges, writers: 1, LedgerAsync)),
            ("PostgreSQL, ledger, three writers", () => OnPostgresAsync(charges, writers: 3, LedgerAsync)),
            ("SQLite, ledger", () => OnSqliteAsync(charges)),
        };
        var rates = modes.ToDictionary(mode => mode.Name, _ => new List<double>());
        for (var round = 0; round < Rounds; round++)
        {
            foreach (var (name, measureAsync) in modes)
            {
                rates[name].Add(await measureAsync());
            }
        }

        foreach (var (name, measured) in rates)
        {
            measured.Sort();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{name,-40} {measured[Rounds / 2],9:0} charges/s (from {measured[0]:0} to {measured[^1]:0} in {Rounds} rounds of {charges})"));
        }

        return 0;
    }

    private static async Task<double> OnPostgresAsync(int charges, int writers, Func<Database, JournalId, List<JournaledCharge>, Task> writeAsync)
    {
        var connectionString = await TestPostgres.NewDatabaseAsync();
        await using var pools = new PostgresPools(connectionString);
        await using var database = new PostgresDatabase(pools);
        try
        {
            return await MeasureAsync(database, charges, writers, writeAsync);
        }
        finally
        {
            await TestPostgres.DropAsync(connectionString);
        }
    }

    private static async Task<double> OnSqliteAsync(int charges)
    {
        var folder = Directory.CreateTempSubdirectory("dvara-ledger-");
        var path = Path.Combine(folder.FullName, "ledger.db");
        SqliteMigrator.Migrate(path);
        double rate;
        await using (var database = new SqliteDatabase(path))
        {
            rate = await MeasureAsync(database, charges, writers: 1, LedgerAsync);
        }

        folder.Delete(recursive: true);
        return rate;
    }

    private static async Task<double> MeasureAsync(
        Database database, int charges, int writers, Func<Database, JournalId, List<JournaledCharge>, Task> writeAsync)
    {
        var work = Enumerable.Range(0, writers).Select(_ => (Journal: new JournalId(Guid.CreateVersion7()), Charges: Generate(charges / writers))).ToList();
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(work.Select(writer => Task.Run(() => writeAsync(database, writer.Journal, writer.Charges))));
        return charges / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static async Task LedgerAsync(Database database, JournalId journal, List<JournaledCharge> charges)
    {
        var (standing, _) = await database.WriteAsync(
            WriteLane.Admin, t => LedgerStore.RegisterAsync(t, journal, "benchmark", othersWrite: true, Now), CancellationToken.None);
        var batch = new LedgerBatch(journal, standing.Epoch, new SiloName("benchmark"), new JournalOptions(), [], TimeProvider.System);
        foreach (var rows in charges.Chunk(BatchRows))
        {
            await database.WriteAsync(WriteLane.Ledger, t => batch.WriteAsync(t, rows, after: 0, CancellationToken.None), CancellationToken.None);
        }
    }

    private static Task InsertAsync(Database database, JournalId journal, List<JournaledCharge> charges) => WriteRowsAsync(database, journal, charges, async (transaction, rows) =>
    {
        // A statement takes at most 65,535 values.
        foreach (var part in rows.Chunk(1_000))
        {
            await using var command = (NpgsqlCommand)transaction.Connection!.CreateCommand();
            var tuples = new List<string>(part.Length);
            foreach (var row in part)
            {
                tuples.Add($"({string.Join(',', row.Select((value, column) => Add(command, column, value)))})");
            }

            command.CommandText = $"INSERT INTO charges VALUES {string.Join(',', tuples)}";
            await command.ExecuteNonQueryAsync();
        }
    });

    private static Task CopyAsync(Database database, JournalId journal, List<JournaledCharge> charges) => WriteRowsAsync(database, journal, charges, async (transaction, rows) =>
    {
        await using var import = await ((NpgsqlConnection)transaction.Connection!).BeginBinaryImportAsync("COPY charges FROM STDIN (FORMAT BINARY)");
        foreach (var row in rows)
        {
            await import.StartRowAsync();
            for (var column = 0; column < row.Length; column++)
            {
                await (row[column] is null ? import.WriteNullAsync() : import.WriteAsync(row[column], TypeOf(column)));
            }
        }

        await import.CompleteAsync();
    });

    private static async Task WriteRowsAsync(
        Database database, JournalId journal, List<JournaledCharge> charges, Func<DbTransaction, List<object?[]>, Task> writeAsync)
    {
        foreach (var part in charges.Chunk(BatchRows))
        {
            var rows = part.Select(charge => ChargeRow.Of(journal, charge, new ChargeCounts(1, 0, 0, 0, 0), BillingMonth.Of(Now)).Values).ToList();
            await database.WriteAsync(WriteLane.Ledger, transaction => writeAsync(transaction, rows), CancellationToken.None);
        }
    }

    private static string Add(NpgsqlCommand command, int column, object? value)
    {
        command.Parameters.Add(new NpgsqlParameter { Value = value ?? DBNull.Value, NpgsqlDbType = TypeOf(column) });
        return "$" + command.Parameters.Count.ToString(CultureInfo.InvariantCulture);
    }

    private static NpgsqlDbType TypeOf(int column) => LedgerStore.ChargeColumns[column].Type switch
    {
        BulkType.Id => NpgsqlDbType.Uuid,
        BulkType.Number => NpgsqlDbType.Bigint,
        _ => NpgsqlDbType.Text,
    };

    private static List<JournaledCharge> Generate(int count)
    {
        var random = new Random(1);
        return [.. Enumerable.Range(1, count).Select(seq =>
        {
            var tenant = random.Next(20);
            var at = Now.AddMilliseconds(seq);
            return new JournaledCharge(seq, at, new Charge
            {
                Intent = new()
                {
                    AttemptId = AttemptId.At(at),
                    RequestId = new(Uuid7.At(at)),
                    Attempt = 1,
                    TenantId = new(new Guid(tenant, 0, 0, new byte[8])),
                    ApiKeyId = new(new Guid((tenant * 2) + random.Next(2), 1, 0, new byte[8])),
                    Provider = "openai",
                    Model = "gpt-4o",
                    RequestedModel = "gpt-4o",
                    Endpoint = "/v1/chat/completions",
                    Stream = true,
                    Tags = new Dictionary<string, string> { ["team"] = $"team {random.Next(10)}" },
                },
                State = ChargeState.Settled,
                ServedModel = random.Next(2) == 0 ? "gpt-4o-2024-08-06" : "gpt-4o-mini-2024-07-18",
                Usage = new() { UncachedInput = random.Next(5_000), CacheRead = random.Next(1_000), Output = random.Next(1_000) },
                Cost = new(Usd.FromPico(random.NextInt64(10_000_000_000)), Usd.FromPico(random.NextInt64(10_000_000_000))),
                PriceId = new(new Guid(1, 2, 3, new byte[8])),
                LatencyMs = random.Next(10_000),
                Status = 200,
            });
        })];
    }
}

using Dapper;
using Dvara.Domain.Metering;
using Dvara.Domain.Pricing;
using Dvara.Server.Hosting;
using Dvara.Server.Metering;
using Dvara.Server.Pricing;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Dvara.UnitTests.Metering;

/// <summary>A folder with a ledger and room for journals: the real engine on real files, without a node around it.</summary>
internal sealed class MeteringFolder : IAsyncDisposable
{
    public static readonly SiloName Silo = new("test");

    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("dvara-metering-");
    private TestLedger? _ledger;

    public string JournalPath => Path.Combine(_folder.FullName, "journal.db");

    public StepClock Clock { get; } = new(new DateTimeOffset(2026, 4, 10, 12, 0, 0, TimeSpan.Zero));

    public JournalOptions Options { get; } = new() { ReserveBytes = 64 << 10, Gather = TimeSpan.Zero };

    public PriceBookState Prices { get; } = new();

    /// <summary>What would have ended the process.</summary>
    public List<Exception> Failures { get; } = [];

    public Database Database => (_ledger ??= OpenLedger()).Database;

    public Journal OpenJournal(TimeProvider? clock = null, string? path = null) =>
        Journal.Open(path ?? JournalPath, Options, clock ?? Clock, Failures.Add, NullLogger<Journal>.Instance);

    public LedgerWriter Writer(Journal journal) => new(
        journal, Database, Prices, [], Options, Clock, new ProcessFailure(NullLogger<ProcessFailure>.Instance), Silo,
        NullLogger<LedgerWriter>.Instance);

    /// <summary>Puts charges into the ledger with the ledger writer's own batch, without a journal file before it.</summary>
    public async Task<IReadOnlyList<Charge>> FeedAsync(Dvara.Domain.JournalId journal, params JournaledCharge[] batch)
    {
        return await Database.WriteAsync(
            WriteLane.Ledger,
            async transaction =>
            {
                var (standing, _) = await LedgerStore.RegisterAsync(transaction, journal, "test", othersWrite: false, Clock.GetUtcNow());
                return await new LedgerBatch(journal, standing.Epoch, Silo, Options, [], Clock).WriteAsync(transaction, batch, after: 0, CancellationToken.None);
            },
            CancellationToken.None);
    }

    /// <summary>The file as a crash would leave it: what is written between the two copies is a torn end of the log.</summary>
    public string CopyJournal()
    {
        var copy = CopyOf(JournalPath);
        File.Copy(JournalPath + "-wal", copy + "-wal");
        return copy;
    }

    public string CopyOf(string file)
    {
        var copy = Path.Combine(_folder.CreateSubdirectory(Guid.NewGuid().ToString("N")).FullName, Path.GetFileName(file));
        File.Copy(file, copy);
        return copy;
    }

    /// <summary>Runs SQL on the ledger beside the writer.</summary>
    public async Task RunAsync(string sql)
    {
        await Database.WriteAsync(WriteLane.Admin, transaction => transaction.Connection!.ExecuteAsync(sql, transaction: transaction), CancellationToken.None);
    }

    public Task<List<T>> ReadAsync<T>(string sql, Func<System.Data.Common.DbDataReader, T> read, params object?[] values) =>
        Database.ReadAsync(
            connection =>
            {
                using var statement = new PreparedStatement(connection, sql, [.. values.Select((_, i) => $"@p{i}")]);
                return Task.FromResult(statement.Rows(read, values));
            },
            CancellationToken.None);

    public async Task<long> CountAsync(string sql, params object?[] values) => Assert.Single(await ReadAsync(sql, row => row.GetInt64(0), values));

    public async ValueTask DisposeAsync()
    {
        if (_ledger is not null)
        {
            await _ledger.DisposeAsync();
        }

        SqliteConnection.ClearAllPools();
        _folder.Delete(recursive: true);
        Assert.Empty(Failures);
    }

    /// <summary>The spelling of the engine under test.</summary>
    public static string Sql(string sqlite, string postgres) => TestPostgres.IsEngine ? postgres : sqlite;

    private TestLedger OpenLedger()
    {
        Prices.Replace(new PriceBook([SomeAttempts.Price]));
        return TestLedger.CreateAsync().GetAwaiter().GetResult();
    }
}

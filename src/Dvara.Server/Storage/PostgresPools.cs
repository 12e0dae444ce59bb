using Npgsql;

namespace Dvara.Server.Storage;

/// <summary>
/// The connections of one process to PostgreSQL, in small pools that cannot starve each other: membership must never wait behind a
/// ledger batch, nor a ledger batch or a call behind a report. A server that stops answering costs seconds, not minutes: connections are probed,
/// statements bounded, and a transaction that its process has forgotten is ended by the server, locks and all.
/// </summary>
internal sealed class PostgresPools : IAsyncDisposable
{
    /// <param name="connectionString">Npgsql's (<c>DVARA_POSTGRES</c>).</param>
    /// <exception cref="ArgumentException">It is none.</exception>
    public PostgresPools(string connectionString)
    {
        ConnectionString = connectionString;
        Api = Open("dvara-api", connectionsMax: 10, statementSeconds: 30);
        LookUps = Open("dvara-lookups", connectionsMax: 4, statementSeconds: 1);
        Leases = Open("dvara-leases", connectionsMax: 4, statementSeconds: 2);
        Ledger = Open("dvara-ledger", connectionsMax: 3, statementSeconds: 10);
        Orleans = Open("dvara-orleans", connectionsMax: 6, statementSeconds: 5);
    }

    /// <summary>As the operator wrote it, password included.</summary>
    public string ConnectionString { get; }

    /// <summary>Reads and admin writes.</summary>
    public NpgsqlDataSource Api { get; }

    /// <summary>Keys, and what changed: whatever requests wait for.</summary>
    public NpgsqlDataSource LookUps { get; }

    /// <summary>Grants of leases: calls wait for them.</summary>
    public NpgsqlDataSource Leases { get; }

    /// <summary>This silo's ledger writer.</summary>
    public NpgsqlDataSource Ledger { get; }

    /// <summary>Membership, reminders, grain storage.</summary>
    public NpgsqlDataSource Orleans { get; }

    /// <summary>A connection outside the pools, without bounds on its statements: to listen, or to migrate.</summary>
    public async Task<NpgsqlConnection> ConnectAsync(CancellationToken cancellationToken)
    {
        var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(ConnectionString) { Pooling = false, ApplicationName = "dvara", KeepAlive = 10, Timeout = 5 }.ToString());
        await connection.OpenAsync(cancellationToken);
        return connection;
    }

    public async ValueTask DisposeAsync()
    {
        await Orleans.DisposeAsync();
        await Ledger.DisposeAsync();
        await Leases.DisposeAsync();
        await LookUps.DisposeAsync();
        await Api.DisposeAsync();
    }

    private NpgsqlDataSource Open(string name, int connectionsMax, int statementSeconds)
    {
        var settings = new NpgsqlConnectionStringBuilder(ConnectionString)
        {
            ApplicationName = name,
            MaxPoolSize = connectionsMax,
            // Both bounds: the server's ends the statement, ours the wait for a server that is frozen or no longer there.
            CommandTimeout = statementSeconds + 1,
            Timeout = Math.Min(5, statementSeconds + 1),
            CancellationTimeout = -1,
            KeepAlive = 5,
            TcpKeepAlive = true,
            MaxAutoPrepare = 50,
            IncludeErrorDetail = true,
        };
        // A plan made for any parameters would walk all partitions.
        settings.Options = $"{settings.Options} -c statement_timeout={statementSeconds}s -c idle_in_transaction_session_timeout=5s -c plan_cache_mode=force_custom_plan".Trim();
        return NpgsqlDataSource.Create(settings);
    }
}

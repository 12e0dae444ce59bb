using System.Collections.Concurrent;
using System.Data.Common;
using System.Net.Http.Headers;
using Dvara.Server.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Dvara.Testing;

/// <summary>A whole node in this process: real Kestrel on a free port, real silo, a real database of its own of the engine under test.</summary>
public sealed class GatewayEnvironment : IAsyncDisposable
{
    public const string AdminToken = "test-admin-token-0123456789";

    /// <summary>Of clusters; a single node makes its own.</summary>
    public const string MasterKey = "f4d1c0ffee5a11ce0123456789abcdef0123456789abcdef0123456789abcdef";

    // What a second node finds that is started on the folder of a first one.
    private static readonly ConcurrentDictionary<string, string> DatabaseOf = new();

    private readonly WebApplication _app;
    private readonly bool _ownsData;
    private readonly string? _ownDatabase;

    private GatewayEnvironment(WebApplication app, string dataDirectory, bool ownsData, string? ownDatabase)
    {
        _app = app;
        _ownsData = ownsData;
        _ownDatabase = ownDatabase;
        DataDirectory = dataDirectory;
        BaseAddress = new Uri(app.Urls.First());
        Admin = NewClient(BaseAddress);
        Admin.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", AdminToken);
        Client = NewClient(BaseAddress);
    }

    public Uri BaseAddress { get; }

    public string DataDirectory { get; }

    /// <summary>Carries the bootstrap admin token.</summary>
    public HttpClient Admin { get; }

    /// <summary>Carries no credential.</summary>
    public HttpClient Client { get; }

    public IServiceProvider Services => _app.Services;

    /// <param name="settings">Settings beyond the defaults, by their contract names.</param>
    /// <param name="clock">Replaces the clock of the code under test; infrastructure timers stay on real time.</param>
    /// <param name="dataDirectory">An existing folder, to start a second time on it; null: a new one, removed at the end.</param>
    /// <param name="services">Adds what watches or hinders the node from within, for example a filter of grain calls.</param>
    public static async Task<GatewayEnvironment> StartAsync(
        IReadOnlyDictionary<string, string?>? settings = null,
        TimeProvider? clock = null,
        string? dataDirectory = null,
        Action<IServiceCollection>? services = null)
    {
        var data = dataDirectory ?? Directory.CreateTempSubdirectory("dvara-test-").FullName;
        string? ownDatabase = null;
        if (TestPostgres.IsEngine && settings?.ContainsKey("DVARA_POSTGRES") != true && !DatabaseOf.TryGetValue(data, out ownDatabase))
        {
            DatabaseOf[data] = ownDatabase = await TestPostgres.NewDatabaseAsync();
        }

        var app = DvaraHost.Build([], builder =>
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["DVARA_DATA_DIR"] = data,
                ["DVARA_ADMIN_TOKEN"] = AdminToken,
                ["DVARA_SILO_PORT"] = "0",
                ["DVARA_ACCEPT_LOSS"] = "1",
                ["DVARA_POSTGRES"] = ownDatabase,
                ["DVARA_MASTER_KEY"] = ownDatabase is null ? null : MasterKey,
                ["DVARA_ADVERTISED_IP"] = ownDatabase is null ? null : "127.0.0.1",
                ["Dvara:Hosting:LeaveSeconds"] = "0",
                ["Dvara:Hosting:StopSeconds"] = "5",
            });
            builder.Configuration.AddInMemoryCollection(settings ?? new Dictionary<string, string?>());
            builder.WebHost.UseUrls(settings?.GetValueOrDefault("ASPNETCORE_URLS") ?? "http://127.0.0.1:0");
            builder.Logging.SetMinimumLevel(LogLevel.Warning);
            if (clock is not null)
            {
                builder.Services.AddSingleton(clock);
            }

            services?.Invoke(builder.Services);
        });
        try
        {
            await app.StartAsync();
        }
        catch
        {
            // What had started already would go on in this process for good.
            await ((Task)app.StopAsync()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await app.DisposeAsync();
            throw;
        }

        return new(app, data, ownsData: dataDirectory is null, ownDatabase);
    }

    // A client that asks before it sends waits for the answer, however slow the machine is; by default it sends after a second.
    private static HttpClient NewClient(Uri address) =>
        new(new SocketsHttpHandler { Expect100ContinueTimeout = TimeSpan.FromSeconds(60) }) { BaseAddress = address };

    /// <summary>Reaches the node's database behind its back: how a database breaks, or how another node writes.</summary>
    public async Task<DbConnection> ConnectAsync()
    {
        DbConnection connection = _ownDatabase is null
            ? new SqliteConnection($"Data Source={Path.Combine(DataDirectory, "dvara.db")};Pooling=False")
            : new NpgsqlConnection(new NpgsqlConnectionStringBuilder(_ownDatabase) { Pooling = false }.ToString());
        await connection.OpenAsync();
        return connection;
    }

    public async ValueTask DisposeAsync()
    {
        Admin.Dispose();
        Client.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        if (_ownsData)
        {
            Directory.Delete(DataDirectory, recursive: true);
            if (_ownDatabase is not null)
            {
                await TestPostgres.DropAsync(_ownDatabase);
            }
        }
    }
}

using System.Net.Http.Headers;
using Dvara.Server.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Dvara.Testing;

/// <summary>A whole node in this process: real Kestrel on a free port, real silo, real SQLite in a folder of its own.</summary>
public sealed class GatewayEnvironment : IAsyncDisposable
{
    public const string AdminToken = "test-admin-token-0123456789";

    private readonly WebApplication _app;
    private readonly bool _ownsData;

    private GatewayEnvironment(WebApplication app, string dataDirectory, bool ownsData)
    {
        _app = app;
        _ownsData = ownsData;
        DataDirectory = dataDirectory;
        BaseAddress = new Uri(app.Urls.First());
        Admin = new HttpClient { BaseAddress = BaseAddress };
        Admin.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", AdminToken);
        Client = new HttpClient { BaseAddress = BaseAddress };
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
    public static async Task<GatewayEnvironment> StartAsync(
        IReadOnlyDictionary<string, string?>? settings = null, TimeProvider? clock = null, string? dataDirectory = null)
    {
        var data = dataDirectory ?? Directory.CreateTempSubdirectory("dvara-test-").FullName;
        var app = DvaraHost.Build([], builder =>
        {
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["DVARA_DATA_DIR"] = data,
                ["DVARA_ADMIN_TOKEN"] = AdminToken,
                ["DVARA_SILO_PORT"] = "0",
                ["DVARA_ACCEPT_LOSS"] = "1",
            });
            builder.Configuration.AddInMemoryCollection(settings ?? new Dictionary<string, string?>());
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            builder.Logging.SetMinimumLevel(LogLevel.Warning);
            if (clock is not null)
            {
                builder.Services.AddSingleton(clock);
            }
        });
        await app.StartAsync();
        return new(app, data, ownsData: dataDirectory is null);
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
        }
    }
}

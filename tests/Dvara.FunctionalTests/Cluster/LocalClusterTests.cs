using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>deploy/local-cluster.sh, the cluster's one command.</summary>
public sealed partial class LocalClusterTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly string _data = Directory.CreateTempSubdirectory("dvara-local-").FullName;

    // Somebody else's silo: the script is not to mind.
    private readonly TcpListener _other = new(IPAddress.Loopback, 0);

    public ValueTask InitializeAsync()
    {
        _other.Start();
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        _other.Dispose();
        Directory.Delete(_data, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task LocalCluster_TakesAnyRequestOnAnySilo_AndKeepsWhatItHolds()
    {
        string tenant;
        await using (var first = new ScriptProcess(Script, [_data], Settings()))
        {
            var silos = await WaitForSilosAsync(first);
            (tenant, var key) = await DrillLoad.NewKeyAsync(silos[0]);
            for (var calls = 1; calls <= 4; calls++)
            {
                using var call = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
                {
                    Headers = { Authorization = new("Bearer", key) },
                    Content = JsonContent.Create(new { model = "mock/gpt-4o", messages = new[] { new { role = "user", content = "Hi" } } }),
                };
                using var answer = await silos[1].SendAsync(call);
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);

                // What a silo has answered is on the statement that it is asked for, wherever the tenant's grain is.
                using var statement = await silos[1].PostAsJsonAsync("/v1/admin/chargeback", new { tenantId = tenant, from = "2026-01-01T00:00:00Z", to = "2040-01-01T00:00:00Z" });
                Assert.Equal(HttpStatusCode.Created, statement.StatusCode);
                Assert.Equal(calls, (int)(await statement.Content.ReadFromJsonAsync<JsonObject>())!["requestCount"]!);
            }

            Assert.Equal(4, await CountAsync(silos[2], tenant));
            var journals = await silos[2].GetFromJsonAsync<JsonObject>("/v1/admin/journals");
            Assert.Equal(["OPEN", "OPEN", "OPEN"], journals!["items"]!.AsArray().Select(journal => (string)journal!["state"]!));
            silos.ForEach(silo => silo.Dispose());
            Assert.Equal(0, await first.TerminateAsync(Patience));
        }

        await using var again = new ScriptProcess(Script, [_data], Settings());
        var restarted = await WaitForSilosAsync(again);
        Assert.Equal(4, await CountAsync(restarted[0], tenant));
        restarted.ForEach(silo => silo.Dispose());
        Assert.Equal(0, await again.TerminateAsync(Patience));
    }

    private static string Script => Path.Combine(Repository.Root, "deploy", "local-cluster.sh");

    private Dictionary<string, string?> Settings() => new()
    {
        ["DVARA_SILO_PORT"] = $"{((IPEndPoint)_other.LocalEndpoint).Port}",
        ["DVARA_PORT"] = $"{FreePorts(3)}",
        ["DVARA_SERVER"] = Path.Combine(AppContext.BaseDirectory, "Dvara.Server.dll"),
        ["DVARA_ACCEPT_LOSS"] = "1",
        ["Dvara__Hosting__LeaveSeconds"] = "0",
    };

    /// <returns>A client of each, with the admin token.</returns>
    private static async Task<List<HttpClient>> WaitForSilosAsync(ScriptProcess script)
    {
        var said = await script.WaitForAsync(ReadyPattern(), Patience);
        var silos = said.Groups["silo"].Captures.Select(capture => NewClient(capture.Value)).ToList();
        Assert.Equal(3, silos.Count);
        silos.ForEach(silo => silo.DefaultRequestHeaders.Authorization = new("Bearer", said.Groups["token"].Value));
        return silos;
    }

    private static async Task<int> CountAsync(HttpClient silo, string tenant) => (int)(await silo.GetFromJsonAsync<JsonObject>(
        $"/v1/admin/costs/summary?tenantId={tenant}&from=2026-01-01T00:00:00Z&to=2040-01-01T00:00:00Z"))!["requestCount"]!;

    private static HttpClient NewClient(string address) => new() { BaseAddress = new Uri(address) };

    /// <returns>The first of so many free ports in a row.</returns>
    private static int FreePorts(int count)
    {
        for (var first = Random.Shared.Next(14_000, 14_900); ; first += count)
        {
            try
            {
                for (var port = first; port < first + count; port++)
                {
                    using var probe = new TcpListener(IPAddress.Loopback, port);
                    probe.Start();
                }

                return first;
            }
            catch (SocketException)
            {
                // Taken; the next ones may not be.
            }
        }
    }

    [GeneratedRegex(@"Silos +(?:(?<silo>http://\S+)\s+)+PostgreSQL [^\n]*\n +Admin token +(?<token>\S+)[\s\S]*Ctrl-C")]
    private static partial Regex ReadyPattern();
}

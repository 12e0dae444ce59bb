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

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_data, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task LocalCluster_TakesAnyRequestOnAnySiloAndStopsCleanly()
    {
        await using var script = new ScriptProcess(
            Path.Combine(Repository.Root, "deploy", "local-cluster.sh"),
            [_data],
            new Dictionary<string, string?>
            {
                ["DVARA_PORT"] = $"{FreePorts(3)}",
                ["DVARA_SERVER"] = Path.Combine(AppContext.BaseDirectory, "Dvara.Server.dll"),
                ["DVARA_ACCEPT_LOSS"] = "1",
                ["Dvara__Hosting__LeaveSeconds"] = "0",
            });
        var said = await script.WaitForAsync(ReadyPattern(), Patience);
        var silos = said.Groups["silo"].Captures.Select(capture => NewClient(capture.Value)).ToList();
        Assert.Equal(3, silos.Count);
        foreach (var silo in silos)
        {
            silo.DefaultRequestHeaders.Authorization = new("Bearer", said.Groups["token"].Value);
        }

        var (tenant, key) = await DrillLoad.NewKeyAsync(silos[0]);
        using var call = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Headers = { Authorization = new("Bearer", key) },
            Content = JsonContent.Create(new { model = "mock/gpt-4o", messages = new[] { new { role = "user", content = "Hi" } } }),
        };
        using var answer = await silos[1].SendAsync(call);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        using var statement = await silos[1].PostAsJsonAsync("/v1/admin/chargeback", new { tenantId = tenant, from = "2026-01-01T00:00:00Z", to = "2040-01-01T00:00:00Z" });
        Assert.Equal(HttpStatusCode.Created, statement.StatusCode);

        // The silo that took the call has shipped it for the statement; now every silo knows it.
        var summary = await silos[2].GetFromJsonAsync<JsonObject>($"/v1/admin/costs/summary?tenantId={tenant}&from=2026-01-01T00:00:00Z&to=2040-01-01T00:00:00Z");
        Assert.Equal(1, (int)summary!["requestCount"]!);
        var journals = await silos[2].GetFromJsonAsync<JsonObject>("/v1/admin/journals");
        Assert.Equal(["OPEN", "OPEN", "OPEN"], journals!["items"]!.AsArray().Select(journal => (string)journal!["state"]!));

        silos.ForEach(silo => silo.Dispose());
        Assert.Equal(0, await script.TerminateAsync(Patience));
    }

    private static HttpClient NewClient(string address) => new() { BaseAddress = new Uri(address) };

    /// <returns>The first of so many free ports in a row.</returns>
    private static int FreePorts(int count)
    {
        for (var first = Random.Shared.Next(20_000, 30_000); ; first += count)
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

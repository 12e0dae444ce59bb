using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Cluster;

/// <summary>A price is changed on one silo: all of them charge it from the same instant on.</summary>
public sealed class PriceChangeTests
{
    private const string Call = """{"model":"mock/m","messages":[{"role":"user","content":"Hi"}],"metadata":{"mock":{"prompt_tokens":"1000","completion_tokens":"500"}}}""";

    private readonly StepClock _clock = new(new DateTimeOffset(2026, 4, 15, 12, 0, 0, TimeSpan.Zero), realTimestamps: true);

    [Fact]
    public async Task Change_OnOneSilo_IsChargedByAllFromItsInstantOn()
    {
        await using var cluster = await TestCluster.StartAsync(nodes: 3, clock: _clock);
        var admin = cluster.Nodes[0].Admin;
        using var tenant = await TestTenant.CreateAsync(cluster.Nodes[0]);
        var clients = cluster.ClientsOf(tenant);
        using var first = await admin.PostAsJsonAsync("/v1/admin/pricing", new { provider = "mock", model = "m", inputPerMillionUsd = 1, outputPerMillionUsd = 2 });
        var id = (string)(await first.Content.ReadFromJsonAsync<JsonNode>())!["id"]!;
        await Await.TrueAsync(async () => (await CostsAsync(clients)).All(cost => cost == 0.002m), "the first price");

        using var second = await admin.PutAsJsonAsync($"/v1/admin/pricing/{id}", new { inputPerMillionUsd = 10, outputPerMillionUsd = 20 });
        var effective = DateTimeOffset.Parse((string)(await second.Content.ReadFromJsonAsync<JsonNode>())!["effectiveFrom"]!, CultureInfo.InvariantCulture);
        Assert.Equal(_clock.GetUtcNow().AddSeconds(5), effective);
        _clock.SetUtcNow(effective);
        await Await.TrueAsync(async () => (await CostsAsync(clients)).All(cost => cost == 0.02m), "the second price");
        _clock.SetUtcNow(effective.AddTicks(-1));

        Assert.All(await CostsAsync(clients), cost => Assert.Equal(0.002m, cost));
        _clock.SetUtcNow(effective);
        Assert.All(await CostsAsync(clients), cost => Assert.Equal(0.02m, cost));
    }

    /// <summary>Of a call to each silo.</summary>
    private static Task<decimal[]> CostsAsync(HttpClient[] clients) => Task.WhenAll(clients.Select(async client =>
    {
        using var answer = await client.PostAsync("/v1/chat/completions", new StringContent(Call, Encoding.UTF8, "application/json"));
        answer.EnsureSuccessStatusCode();
        return answer.Headers.TryGetValues("X-Dvara-Cost-Usd", out var cost) ? decimal.Parse(cost.Single(), CultureInfo.InvariantCulture) : 0;
    }));
}

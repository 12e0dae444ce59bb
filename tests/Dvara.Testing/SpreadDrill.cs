using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Dvara.Domain;
using Dvara.Server.Pricing;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Dvara.Testing;

/// <summary>How long a change made on one silo takes to act on the others.</summary>
public sealed class SpreadDrill(TestCluster cluster)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly ConcurrentBag<TimeSpan> _delays = [];

    /// <summary>From the answer that acknowledged the change to the first call on each other silo that follows it.</summary>
    public IReadOnlyList<TimeSpan> Delays => [.. _delays];

    /// <summary>One trial; the kinds of change take turns.</summary>
    public Task RunAsync(int trial) => (trial % 5) switch
    {
        0 => RevokeAsync(),
        1 => PriceAsync(),
        2 => LowerAsync(),
        3 => RepriceAsync(),
        _ => SuspendAsync(),
    };

    /// <summary>A key is used everywhere and then revoked on one silo.</summary>
    private async Task RevokeAsync()
    {
        var (tenant, made) = await NewKeyAsync();
        var key = (string)made["key"]!;
        foreach (var node in cluster.Nodes)
        {
            if (await CallAsync(node, key, "mock/gpt-4o") is not HttpStatusCode.OK and var status)
            {
                throw new InvalidOperationException($"A new key was answered {status}.");
            }
        }

        using var revoked = await cluster.Nodes[0].Admin.PostAsync($"/v1/admin/tenants/{tenant}/keys/{made["id"]}/revoke", null);
        revoked.EnsureSuccessStatusCode();
        await AwaitEverywhereAsync(async node => await CallAsync(node, key, "mock/gpt-4o") == HttpStatusCode.Unauthorized);
    }

    /// <summary>A tenant whose key is known everywhere is suspended on one silo.</summary>
    private async Task SuspendAsync()
    {
        var (tenant, made) = await NewKeyAsync();
        await Task.WhenAll(cluster.Nodes.Select(node => CallAsync(node, (string)made["key"]!, "mock/gpt-4o")));
        using var suspended = await cluster.Nodes[0].Admin.PatchAsJsonAsync($"/v1/admin/tenants/{tenant}", new { status = "SUSPENDED" });
        suspended.EnsureSuccessStatusCode();
        await AwaitEverywhereAsync(async node => await CallAsync(node, (string)made["key"]!, "mock/gpt-4o") == HttpStatusCode.Forbidden);
    }

    /// <summary>A model gets its first price on one silo.</summary>
    private async Task PriceAsync()
    {
        var (_, made) = await NewKeyAsync();
        var price = await NewPriceAsync();
        await AwaitEverywhereAsync(async node => await CostAsync(node, (string)made["key"]!, $"mock/{price["model"]}") > 0);
    }

    /// <summary>
    /// A price is changed on one silo. It acts 5 s later on all of them at once, so what must not last is that a silo does not know of it:
    /// that is seen in its book, while its calls still cost the old price.
    /// </summary>
    private async Task RepriceAsync()
    {
        var (tenant, made) = await NewKeyAsync();
        var old = await NewPriceAsync();
        var (id, model) = (new TenantId(Guid.Parse(tenant)), (string)old["model"]!);
        await Task.WhenAll(cluster.Nodes.Select(node => AwaitAsync(async () => await CostAsync(node, (string)made["key"]!, $"mock/{model}") > 0)));
        var cost = await CostAsync(cluster.Nodes[0], (string)made["key"]!, $"mock/{model}");
        using var answer = await cluster.Nodes[0].Admin.PutAsJsonAsync($"/v1/admin/pricing/{old["id"]}", new { inputPerMillionUsd = 10, outputPerMillionUsd = 20 });
        answer.EnsureSuccessStatusCode();
        var next = (await answer.Content.ReadFromJsonAsync<JsonNode>())!;
        var effective = DateTimeOffset.Parse((string)next["effectiveFrom"]!, CultureInfo.InvariantCulture);
        await AwaitEverywhereAsync(async node => await CostAsync(node, (string)made["key"]!, $"mock/{model}") != cost
            ? throw new InvalidOperationException("A call cost the new price before its time.")
            : node.Services.GetRequiredService<PriceBookState>().Current.Find(id, "mock", model, effective)?.Id.ToString() == (string)next["id"]!);
    }

    /// <summary>A limit is lowered on one silo, while all of them have money of it.</summary>
    private async Task LowerAsync()
    {
        var (tenant, made) = await NewKeyAsync();
        var budget = await cluster.Nodes[0].Admin.MakeBudgetAsync(1_000, new() { ["tenantId"] = tenant });
        await Task.WhenAll(cluster.Nodes.Select(node => AwaitAsync(async () => await RemainingAsync(node, (string)made["key"]!) is not null)));
        await cluster.Nodes[0].Admin.ChangeBudgetAsync(budget, new() { ["limitUsd"] = 0.000001m });
        await AwaitEverywhereAsync(async node => await CallAsync(node, (string)made["key"]!, "mock/gpt-4o") == HttpStatusCode.PaymentRequired);
    }

    /// <summary>Ends the connections on which changes are heard, so that polling alone must do until they are back.</summary>
    public async Task CutListenAsync()
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(cluster.Database) { Pooling = false }.ToString());
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dvara' AND datname = current_database()", connection);
        await command.ExecuteNonQueryAsync();
    }

    private async Task AwaitEverywhereAsync(Func<GatewayEnvironment, Task<bool>> acts) =>
        await Task.WhenAll(cluster.Nodes.Skip(1).Select(async node => _delays.Add(await AwaitAsync(() => acts(node)))));

    /// <returns>When the call that saw it was asked: its own duration is not the change's.</returns>
    private static async Task<TimeSpan> AwaitAsync(Func<Task<bool>> acts)
    {
        var clock = Stopwatch.StartNew();
        TimeSpan asked;
        do
        {
            asked = clock.Elapsed;
            if (asked > Patience)
            {
                throw new TimeoutException("The change did not act.");
            }
        }
        while (!await acts());

        return asked;
    }

    private async Task<(string Tenant, JsonNode Key)> NewKeyAsync()
    {
        var tenant = await PostAsync("/v1/admin/tenants", new JsonObject { ["name"] = "Spread" });
        return ((string)tenant["id"]!, await PostAsync($"/v1/admin/tenants/{tenant["id"]}/keys", new JsonObject { ["name"] = "spread" }));
    }

    private Task<JsonNode> NewPriceAsync() => PostAsync("/v1/admin/pricing", new JsonObject
    {
        ["provider"] = "mock", ["model"] = $"model-{Guid.NewGuid():N}", ["inputPerMillionUsd"] = 1, ["outputPerMillionUsd"] = 2,
    });

    private async Task<JsonNode> PostAsync(string path, JsonObject body)
    {
        using var answer = await cluster.Nodes[0].Admin.PostAsJsonAsync(path, body);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonNode>())!;
    }

    private static async Task<HttpStatusCode> CallAsync(GatewayEnvironment node, string key, string model)
    {
        using var answer = await SendAsync(node, key, model);
        return answer.StatusCode;
    }

    /// <returns>Null: the silo does not know the budget yet.</returns>
    private static async Task<string?> RemainingAsync(GatewayEnvironment node, string key)
    {
        using var answer = await SendAsync(node, key, "mock/gpt-4o");
        answer.EnsureSuccessStatusCode();
        return answer.Headers.TryGetValues("X-Budget-Remaining-Usd", out var remaining) ? remaining.Single() : null;
    }

    private static async Task<decimal> CostAsync(GatewayEnvironment node, string key, string model)
    {
        using var answer = await SendAsync(node, key, model);
        answer.EnsureSuccessStatusCode();
        // What has no price has no cost.
        return answer.Headers.TryGetValues("X-Dvara-Cost-Usd", out var cost) ? decimal.Parse(cost.Single(), CultureInfo.InvariantCulture) : 0;
    }

    private static async Task<HttpResponseMessage> SendAsync(GatewayEnvironment node, string key, string model)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        request.Content = new StringContent($$"""{"model":"{{model}}","messages":[{"role":"user","content":"Hi"}]}""", Encoding.UTF8, "application/json");
        return await node.Client.SendAsync(request);
    }
}

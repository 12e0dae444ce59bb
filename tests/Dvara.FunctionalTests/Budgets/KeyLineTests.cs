using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>A budget of a key is one of all that the key is rotated to, and of all that it was rotated from.</summary>
public sealed class KeyLineTests : IDisposable
{
    private readonly string _data = Directory.CreateTempSubdirectory("dvara-test-").FullName;

    public void Dispose() => Directory.Delete(_data, recursive: true);

    [Fact]
    public async Task RotatedKeyAndItsSuccessors_ShareOneBudget_OverARestartToo()
    {
        JsonObject budget;
        string[] keys;
        await using (var node = await GatewayEnvironment.StartAsync(dataDirectory: _data))
        {
            using var tenant = await TestTenant.CreateAsync(node);
            budget = await node.Admin.MakeBudgetAsync(10 * MockCall.Cost, new() { ["apiKeyId"] = tenant.KeyId });
            Assert.Equal(Enumerable.Repeat(HttpStatusCode.OK, 6), await CallAsync(node, Enumerable.Repeat(tenant.Key, 6)));

            var (second, secondId) = await tenant.RotateAsync();
            Assert.Equal([HttpStatusCode.OK, HttpStatusCode.OK], await CallAsync(node, [second, tenant.Key]));
            var (third, _) = await tenant.RotateAsync(secondId);
            keys = [tenant.Key, second, third];
            Assert.Equal(tenant.KeyId, (string?)budget["apiKeyId"]);
        }

        await using var again = await GatewayEnvironment.StartAsync(dataDirectory: _data);
        foreach (var key in keys)
        {
            Assert.Equal(((string?)budget["id"], 8 * MockCall.Cost), await BudgetOfAsync(again, key));
        }

        Assert.Equal(
            [HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.PaymentRequired, HttpStatusCode.PaymentRequired, HttpStatusCode.PaymentRequired],
            await CallAsync(again, [keys[2], keys[0], .. keys]));
        Assert.Equal((10 * MockCall.Cost, 10, 0m), await UsedAsync(again, budget));
    }

    [Fact]
    public async Task BudgetOfASuccessor_CountsWhatTheOldKeyHasSpent_AndSpends()
    {
        await using var node = await GatewayEnvironment.StartAsync(dataDirectory: _data);
        using var tenant = await TestTenant.CreateAsync(node);
        using var other = await TestTenant.CreateAsync(node);
        await CallAsync(node, [tenant.Key, tenant.Key, tenant.Key, other.Key]);
        var (successor, successorId) = await tenant.RotateAsync();
        await CallAsync(node, [successor]);

        var budget = await node.Admin.MakeBudgetAsync(6 * MockCall.Cost, new() { ["apiKeyId"] = successorId });

        Assert.Equal(successorId, (string?)budget["apiKeyId"]);
        Assert.Equal((4 * MockCall.Cost, 4, 0m), await UsedAsync(node, budget));
        Assert.Equal(
            [HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.PaymentRequired, HttpStatusCode.PaymentRequired, HttpStatusCode.OK],
            await CallAsync(node, [tenant.Key, successor, tenant.Key, successor, other.Key]));
        Assert.Equal((6 * MockCall.Cost, 6, 0m), await UsedAsync(node, budget));
    }

    private static async Task<List<HttpStatusCode>> CallAsync(GatewayEnvironment node, IEnumerable<string> keys)
    {
        var statuses = new List<HttpStatusCode>();
        foreach (var key in keys)
        {
            using var answer = await SendAsync(node, key, HttpMethod.Post, "/v1/chat/completions", new StringContent(MockCall.Body, Encoding.UTF8, "application/json"));
            statuses.Add(answer.StatusCode);
        }

        return statuses;
    }

    /// <summary>The one budget that a key may know of, and what is spent of it.</summary>
    private static async Task<(string? Id, decimal Spent)> BudgetOfAsync(GatewayEnvironment node, string key)
    {
        using var answer = await SendAsync(node, key, HttpMethod.Get, "/v1/budget", null);
        var only = Assert.Single((await answer.Content.ReadFromJsonAsync<JsonNode>())!["data"]!.AsArray())!;
        return ((string?)only["id"], (decimal)only["spentUsd"]!);
    }

    private static async Task<(decimal Spent, int Requests, decimal Overrun)> UsedAsync(GatewayEnvironment node, JsonObject budget)
    {
        var usage = await node.Admin.UsageAsync(budget);
        return ((decimal)usage["spentUsd"]!, (int)usage["requestCount"]!, (decimal)usage["overrunUsd"]!);
    }

    private static Task<HttpResponseMessage> SendAsync(GatewayEnvironment node, string key, HttpMethod method, string path, HttpContent? content) =>
        node.Client.SendAsync(new HttpRequestMessage(method, path) { Content = content, Headers = { Authorization = new AuthenticationHeaderValue("Bearer", key) } });
}

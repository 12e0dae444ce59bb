using System.Net.Http.Headers;
using System.Text.Json.Nodes;
using Dvara.Server.ApiKeys;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.Audit;

public sealed class RefusedRequestsTests
{
    private const int MaxBodyBytes = 1 << 16;
    private const string Unknown = """{"model":"nobody-knows-me","messages":[{"role":"user","content":"Hi"}]}""";

    [Fact]
    public async Task Requests_RefusedAboveTheRate_AreCountedTogether_AndNoneIsLost()
    {
        var clock = new StepClock(new DateTimeOffset(2026, 4, 10, 12, 0, 0, TimeSpan.Zero));
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        using var tenant = await TestTenant.CreateAsync(node);
        for (var i = 0; i < 60; i++)
        {
            using var refused = await tenant.PostAsync("/v1/chat/completions", Unknown);
        }

        // Another code is counted apart, and so is another minute.
        using var malformed = await tenant.PostAsync("/v1/chat/completions", "{");
        clock.Advance(TimeSpan.FromMinutes(1));
        using var later = await tenant.PostAsync("/v1/chat/completions", Unknown);

        var trail = JsonNode.Parse(await node.Admin.GetStringAsync($"/v1/admin/audit/events?type=GATEWAY_REQUEST&tenantId={tenant.Id}"))!["items"]!.AsArray();
        var (alone, together) = (trail.Where(e => e!["requestId"] is not null).ToList(), trail.Where(e => e!["requestId"] is null).ToList());
        Assert.Equal(12, alone.Count);
        Assert.All(alone, e => Assert.Equal((1, null), ((int)e!["payload"]!["count"]!, (string?)e["payload"]!["lastAt"])));
        // One, unless the buffer was written in between.
        Assert.InRange(together.Count, 1, 49);
        Assert.Equal(50, together.Sum(e => (int)e!["payload"]!["count"]!));
        Assert.All(together, e => Assert.Equal(("model_not_found", "2026-04-10T12:00:00Z"), ((string?)e!["payload"]!["code"], (string?)e["payload"]!["lastAt"])));
    }

    [Fact]
    public async Task Requests_ThatNoEndpointTakes_AreInTheTrail_WhereTheirKeyIsKnown()
    {
        await using var node = await GatewayEnvironment.StartAsync(new Dictionary<string, string?> { ["Dvara:Gateway:MaxBodyBytes"] = $"{MaxBodyBytes}" });
        using var tenant = await TestTenant.CreateAsync(node);
        (string Method, string Path, string Type, int Length, int Status, string Code)[] rows =
        [
            ("POST", "/v1/responses", "application/json", 2, 404, "resource_not_found"),
            ("GET", "/v1/no/such/path?secret=1", "", 0, 404, "resource_not_found"),
            ("POST", "/v1/Chat/completions", "application/json", 2, 404, "resource_not_found"),
            ("POST", "/v1/chat//completions", "application/json", 2, 400, "invalid_path"),
            ("POST", "/v1/chat/completions%3Bx=1", "application/json", 2, 400, "invalid_path"),
            ("POST", $"/{tenant.Key}/v1/chat/completions", "application/json", 2, 401, "invalid_api_key"),
            ("GET", "/v1/chat/completions", "", 0, 405, "method_not_allowed"),
            ("DELETE", "/v1/models", "", 0, 405, "method_not_allowed"),
            ("POST", "/v1/chat/completions", "text/plain", 2, 415, "unsupported_media_type"),
            ("POST", "/v1/chat/completions", "application/json", MaxBodyBytes + 1, 413, "input_too_large"),
        ];
        var ids = new List<string>();
        foreach (var row in rows)
        {
            using var answer = await SendAsync(node, tenant.Key, row.Method, row.Path, row.Type, row.Length);
            Assert.Equal(row.Status, (int)answer.StatusCode);
            ids.Add(answer.Headers.GetValues("x-request-id").Single());
        }

        var trail = await TrailAsync(node, $"tenantId={tenant.Id}");
        Assert.Equal(ids, trail.Select(e => (string)e["requestId"]!).Reverse());
        Assert.Equal(
            rows.Select(row => ("refused", row.Status, row.Code)),
            trail.Select(e => ((string)e["payload"]!["outcome"]!, (int)e["payload"]!["status"]!, (string)e["payload"]!["code"]!)).Reverse());
        Assert.Equal(
            [
                "/v1/responses", "/v1/no/such/path", "/v1/Chat/completions", "/v1/chat//completions", "/v1/chat/completions%3Bx=1", null,
                "/v1/chat/completions", "/v1/models", null, null,
            ],
            trail.Select(e => (string?)e["payload"]!["path"]).Reverse());
    }

    [Fact]
    public async Task Requests_ThatNoEndpointTakes_WithoutAKnownKey_AreNotInTheTrail_NorLookedUpWhereItIsNone()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        var keys = node.Services.GetRequiredService<ApiKeyCache>();
        var before = keys.Count;
        foreach (var key in (string?[])[null, "", "gw_guessed", GatewayEnvironment.AdminToken, new('x', 9000 / 2)])
        {
            foreach (var (method, path) in ((string, string)[])[("GET", "/v1/nothing"), ("GET", "/v1/chat/completions"), ("POST", "/v1//x")])
            {
                using var answer = await SendAsync(node, key, method, path, "", 0);
                Assert.InRange((int)answer.StatusCode, 400, 405);
            }
        }

        Assert.Equal(before, keys.Count);
        // What could be a key is asked for; nobody has it.
        using var unknown = await SendAsync(node, ApiKeyFormat.Make(), "GET", "/v1/nothing", "", 0);
        Assert.Equal(404, (int)unknown.StatusCode);
        Assert.Empty(await TrailAsync(node, "limit=1000"));
    }

    [Fact]
    public async Task Paths_ThatAreMadeUp_AreCountedTogether()
    {
        await using var node = await GatewayEnvironment.StartAsync(clock: new StepClock(new DateTimeOffset(2026, 4, 10, 12, 0, 0, TimeSpan.Zero)));
        using var tenant = await TestTenant.CreateAsync(node);
        for (var i = 0; i < 30; i++)
        {
            using var answer = await SendAsync(node, tenant.Key, "GET", $"/v1/scan/{i}", "", 0);
        }

        var trail = await TrailAsync(node, $"tenantId={tenant.Id}");
        Assert.Equal(10, trail.Count(e => e["requestId"] is not null));
        Assert.Equal(30, trail.Sum(e => (int)e["payload"]!["count"]!));
    }

    private static async Task<HttpResponseMessage> SendAsync(GatewayEnvironment node, string? key, string method, string path, string type, int length)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (key is not null)
        {
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {key}");
        }

        if (type.Length > 0)
        {
            request.Content = new StringContent(new string(' ', length), new MediaTypeHeaderValue(type));
        }

        return await node.Client.SendAsync(request);
    }

    private static async Task<List<JsonNode>> TrailAsync(GatewayEnvironment node, string filter) =>
        [.. JsonNode.Parse(await node.Admin.GetStringAsync($"/v1/admin/audit/events?type=GATEWAY_REQUEST&{filter}"))!["items"]!.AsArray().Select(e => e!)];
}

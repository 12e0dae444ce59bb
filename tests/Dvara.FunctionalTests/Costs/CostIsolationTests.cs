using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dvara.Domain.Metering;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

public sealed class CostIsolationTests(CostIsolationTests.Node node) : IClassFixture<CostIsolationTests.Node>
{
    private static readonly DateTimeOffset Noon = new(2026, 4, 15, 12, 0, 0, TimeSpan.Zero);
    private static readonly Dictionary<string, string> Tags = new() { ["Project"] = "apollo" };

    private static readonly Charge Own = SomeCharges.At(Noon, tags: Tags, tenant: 0, key: 0);
    private static readonly Charge Foreign = SomeCharges.At(Noon.AddMinutes(1), tags: Tags, tenant: 1, key: 2);

    [Fact]
    public async Task NarrowedToken_SeesItsOwnTenantAlone()
    {
        using var client = await node.NarrowedAsync(SomeCharges.Tenants[0]);

        var lines = await CostsNode.GetAsync(client, "");
        var summary = await CostsNode.GetAsync(client, "/summary?period=2026-04&groupBy=tenant,tag:Project");
        var byTag = await CostsNode.GetAsync(client, "/summary/by-tag?key=Project&period=2026-04");
        var foreignKey = await CostsNode.GetAsync(client, $"?apiKeyId={SomeCharges.Keys[2]}");
        var foreignRequest = await CostsNode.GetAsync(client, $"?requestId={Foreign.Intent.RequestId}");

        Assert.Equal(Own.Intent.AttemptId.ToString(), Assert.Single(lines.GetProperty("items").EnumerateArray()).GetProperty("id").GetString());
        Assert.Equal(0.0075m, summary.GetProperty("totalCostUsd").GetDecimal());
        Assert.Equal(
            SomeCharges.Tenants[0].ToString(),
            Assert.Single(summary.GetProperty("groups").EnumerateArray()).GetProperty("key").GetProperty("tenant").GetString());
        Assert.Equal(0.0075m, byTag.GetProperty("totalCostUsd").GetDecimal());
        Assert.Equal(0, foreignKey.GetProperty("items").GetArrayLength());
        Assert.Equal(0, foreignRequest.GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task NarrowedToken_AskingForAnotherTenant_GetsWhatAnUnknownOneGets()
    {
        using var client = await node.NarrowedAsync(SomeCharges.Tenants[0]);

        foreach (var (foreign, unknown) in new[]
        {
            ($"/{Foreign.Intent.AttemptId}", $"/{Guid.NewGuid()}"),
            ($"?tenantId={SomeCharges.Tenants[1]}", $"?tenantId={Guid.NewGuid()}"),
            ($"/summary?period=2026-04&tenantId={SomeCharges.Tenants[1]}", $"/summary?period=2026-04&tenantId={Guid.NewGuid()}"),
            ($"/summary/by-tag?key=a&period=2026-04&tenantId={SomeCharges.Tenants[1]}", $"/summary/by-tag?key=a&period=2026-04&tenantId={Guid.NewGuid()}"),
        })
        {
            var one = await CostsNode.RefusedAsync(client, foreign, HttpStatusCode.NotFound, "not_found");
            var other = await CostsNode.RefusedAsync(client, unknown, HttpStatusCode.NotFound, "not_found");
            Assert.Equal(one.GetProperty("message").GetString(), other.GetProperty("message").GetString());
        }
    }

    [Fact]
    public async Task NarrowedToken_WithAnotherTenantsCursor_IsRefused()
    {
        using var client = await node.NarrowedAsync(SomeCharges.Tenants[0]);
        var cursor = (await node.GetAsync($"?limit=1&tenantId={SomeCharges.Tenants[1]}")).GetProperty("nextCursor").GetString();

        await CostsNode.RefusedAsync(client, $"?cursor={cursor}", HttpStatusCode.BadRequest, "validation_error");
    }

    [Theory]
    [InlineData("")]
    [InlineData("/summary?period=2026-04")]
    [InlineData("/summary/by-tag?key=a&period=2026-04")]
    [InlineData("/01890000-0000-7000-8000-000000000001")]
    public async Task Costs_WithoutTheScope_AreRefused(string rest)
    {
        using var made = await node.Admin.PostAsJsonAsync("/v1/admin/tokens", new { name = "no costs", scopes = new[] { "tenants:read" } });
        var token = (await made.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("token").GetString();
        using var client = new HttpClient { BaseAddress = node.Admin.BaseAddress, DefaultRequestHeaders = { { "Authorization", $"Bearer {token}" } } };
        using var nobody = new HttpClient { BaseAddress = node.Admin.BaseAddress };

        await CostsNode.RefusedAsync(client, rest, HttpStatusCode.Forbidden, "missing_scope");
        await CostsNode.RefusedAsync(nobody, rest, HttpStatusCode.Unauthorized, "admin_token_required");
    }

    public sealed class Node() : CostsNode(Own, Foreign, SomeCharges.At(Noon.AddMinutes(2), tenant: 1, key: 2));
}

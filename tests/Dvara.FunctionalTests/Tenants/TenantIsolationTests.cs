using System.Net;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Tenants;

public sealed class TenantIsolationTests(SharedNode shared) : IClassFixture<SharedNode>
{
    private readonly GatewayEnvironment _node = shared.Node;

    [Fact]
    public async Task NarrowedToken_SeesAndChangesItsTenantAlone()
    {
        var mine = await _node.MakeTenantAsync(new { name = "mine" });
        var foreign = await _node.MakeTenantAsync(new { name = "foreign" });
        using var narrowed = await _node.ClientAsync(new { name = "n", role = "owner", tenantId = mine.Text("id") });

        Assert.Equal(["mine"], await narrowed.NamesAsync(""));
        Assert.Empty(await narrowed.NamesAsync("name=foreign"));
        using var own = await narrowed.SendAsync(HttpMethod.Patch, mine.Uri(), """{"name":"mine, renamed"}""");
        Assert.Equal("mine, renamed", (await own.JsonAsync(HttpStatusCode.OK)).Text("name"));

        using var read = await narrowed.GetAsync(foreign.Uri());
        using var put = await narrowed.SendAsync(HttpMethod.Put, foreign.Uri(), """{"name":"x"}""");
        using var patch = await narrowed.SendAsync(HttpMethod.Patch, foreign.Uri(), """{"name":"x"}""", ifMatch: "\"1\"");
        using var delete = await narrowed.DeleteAsync(foreign.Uri());
        using var unknown = await narrowed.GetAsync($"{TenantCalls.Path}/{Guid.CreateVersion7():D}");
        var unknownError = (await unknown.JsonAsync(HttpStatusCode.NotFound)).GetProperty("error");
        using var audit = await narrowed.GetAsync($"/v1/admin/audit/events?tenantId={foreign.Text("id")}");
        foreach (var answer in new[] { read, put, patch, delete, audit })
        {
            var error = (await answer.JsonAsync(HttpStatusCode.NotFound)).GetProperty("error");
            Assert.Equal(unknownError.Text("code"), error.Text("code"));
            Assert.Equal(unknownError.Text("message"), error.Text("message"));
        }

        Assert.Equal(["foreign"], await _node.Admin.NamesAsync("name=foreign&status=ACTIVE"));
    }

    [Fact]
    public async Task NarrowedToken_MakesNoTenant_WhateverItsScopes()
    {
        var mine = await _node.MakeTenantAsync(new { name = "mine" });
        using var narrowed = await _node.ClientAsync(new { name = "n", role = "owner", tenantId = mine.Text("id") });
        var before = await _node.Admin.NamesAsync("");

        using var answer = await narrowed.SendAsync(HttpMethod.Post, TenantCalls.Path, """{"name":"another"}""");

        Assert.Equal("missing_scope", await answer.CodeAsync(HttpStatusCode.Forbidden));
        Assert.Equal(before, await _node.Admin.NamesAsync(""));
    }

    [Fact]
    public async Task Viewer_Reads_ButDoesNotWrite()
    {
        var made = await _node.MakeTenantAsync(new { name = "A" });
        var before = await _node.Admin.NamesAsync("status=ACTIVE");
        using var viewer = await _node.ClientAsync(new { name = "v", role = "viewer" });

        Assert.Equal(["A"], await viewer.NamesAsync("name=A"));
        using var post = await viewer.SendAsync(HttpMethod.Post, TenantCalls.Path, """{"name":"B"}""");
        using var put = await viewer.SendAsync(HttpMethod.Put, made.Uri(), """{"name":"B"}""");
        using var patch = await viewer.SendAsync(HttpMethod.Patch, made.Uri(), """{"name":"B"}""");
        using var delete = await viewer.DeleteAsync(made.Uri());

        foreach (var answer in new[] { post, put, patch, delete })
        {
            Assert.Equal("missing_scope", await answer.CodeAsync(HttpStatusCode.Forbidden));
        }

        Assert.Equal(before, await _node.Admin.NamesAsync("status=ACTIVE"));
    }

    [Theory]
    [InlineData("1")]
    [InlineData("-1")]
    [InlineData("nonsense")]
    [InlineData("{01985a3e-0000-7000-8000-000000000000}")]
    [InlineData("01985a3e-0000-7000-8000-000000000000")]
    public async Task Id_ThatIsNone_Is404(string id)
    {
        using var answer = await _node.Admin.GetAsync($"{TenantCalls.Path}/{id}");
        using var delete = await _node.Admin.DeleteAsync($"{TenantCalls.Path}/{id}");

        Assert.Equal("not_found", await answer.CodeAsync(HttpStatusCode.NotFound));
        Assert.Equal("not_found", await delete.CodeAsync(HttpStatusCode.NotFound));
    }
}

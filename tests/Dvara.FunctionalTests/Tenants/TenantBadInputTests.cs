using System.Net;
using System.Text;
using Xunit;

namespace Dvara.FunctionalTests.Tenants;

/// <summary>Hostile bodies: each is refused by name, and none of all these may leave a tenant behind in the one node.</summary>
public sealed class TenantBadInputTests(SharedNode shared) : IClassFixture<SharedNode>
{
    [Theory]
    [InlineData("{}", "name")]
    [InlineData("""{"name":null}""", "name")]
    [InlineData("""{"name":""}""", "name")]
    [InlineData("""{"name":" \u00a0\u2003 "}""", "name")]
    [InlineData("""{"name":7}""", "name")]
    [InlineData("""{"name":["a"]}""", "name")]
    [InlineData("""{"name":"a\nb"}""", "name")]
    [InlineData("""{"name":"a\t"}""", "name")]
    [InlineData("""{"name":"a\u0000b"}""", "name")]
    [InlineData("""{"name":"a\u009fb"}""", "name")]
    [InlineData("""{"Name":"a"}""", "name,Name")]
    [InlineData("""{"name":"a","status":"OPEN"}""", "status")]
    [InlineData("""{"name":"a","status":"active"}""", "status")]
    [InlineData("""{"name":"a","status":0}""", "status")]
    [InlineData("""{"name":"a","status":"CLOSED"}""", "status")]
    [InlineData("""{"name":"a","region":""}""", "region")]
    [InlineData("""{"name":"a","region":"e\u0007u"}""", "region")]
    [InlineData("""{"name":"a","region":{}}""", "region")]
    [InlineData("""{"name":"a","metadata":"x"}""", "metadata")]
    [InlineData("""{"name":"a","metadata":[]}""", "metadata")]
    [InlineData("""{"name":"a","metadata":{"k":1,"l":null,"m":{},"n":true,"o":["x"],"fine":"x"}}""",
        "metadata.k,metadata.l,metadata.m,metadata.n,metadata.o")]
    [InlineData("""{"name":"a","metadata":{"":"x"}}""", "metadata.")]
    [InlineData("""{"name":"a","metadata":{"a\nb":"x"}}""", "metadata.a\nb")]
    [InlineData("""{"name":"a","metadata":{"k":"a\u0000b"}}""", "metadata.k")]
    [InlineData("""{"name":"a","metadata":{"cost.unpriced-policy":"Block"}}""", "metadata.cost.unpriced-policy")]
    [InlineData("""{"name":"a","metadata":{"cost.max-per-call-usd":"1e3"}}""", "metadata.cost.max-per-call-usd")]
    [InlineData("""{"name":"a","metadata":{"cost.anomaly-threshold-pct":"fifty"}}""", "metadata.cost.anomaly-threshold-pct")]
    [InlineData("""{"name":"a","metadata":{"credentials.byok":""}}""", "metadata.credentials.byok")]
    [InlineData("""{"name":"a","tags":{"k":1}}""", "tags.k")]
    [InlineData("""{"name":"a","tags":{"k":{"nested":"x"}}}""", "tags.k")]
    [InlineData("""{"name":"a","tags":{"team":"x","Team":"y"}}""", "tags.Team")]
    [InlineData("""{"name":"a","tenantId":"x","spent":0}""", "tenantId,spent")]
    [InlineData("""{"name":"a","__proto__":{}}""", "proto")]
    [InlineData("""{"name":"","status":"X","region":"","metadata":{"k":1},"tags":{"k":1},"x":1}""", "name,status,region,metadata.k,tags.k,x")]
    [InlineData("""{"name":7,"region":{},"status":true,"metadata":[],"tags":{"k":1},"x":1}""", "name,region,status,metadata,tags.k,x")]
    [InlineData("[]", "")]
    [InlineData("null", "")]
    [InlineData("\"name\"", "")]
    public async Task Body_ThatIsWrong_Is400AndNamesEveryField(string body, string fields)
    {
        using var answer = await shared.Node.Admin.SendAsync(HttpMethod.Post, TenantCalls.Path, body);

        Assert.Equal(fields.Split(','), await answer.BadFieldsAsync());
        Assert.Empty(await shared.Node.Admin.NamesAsync(""));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("""{"name":"a",}""")]
    [InlineData("""{"name":"a","name":"a"}""")]
    [InlineData("""{"name":"a","metadata":{"k":"1","k":"2"}}""")]
    [InlineData("""{"name":"a","tags":{"k":"1","\u006b":"1"}}""")]
    [InlineData("""{"name":"a"} {"name":"b"}""")]
    [InlineData("""{"name":"\ud800"}""")]
    [InlineData("""{"name":"a","metadata":{"k":"\udc00x"}}""")]
    [InlineData("""{"name":"a","metadata":{"\ud800":"x"}}""")]
    [InlineData("""{"name":"a","tags":{"\ud83dx":"x"}}""")]
    [InlineData("""{"\ud800":"a"}""")]
    [InlineData("""{"name":"a","other":["\ud800"]}""")]
    public async Task Body_ThatIsNoJson_Is400(string body)
    {
        using var post = await shared.Node.Admin.SendAsync(HttpMethod.Post, TenantCalls.Path, body);
        using var patch = await shared.Node.Admin.SendAsync(HttpMethod.Patch, $"{TenantCalls.Path}/{Guid.CreateVersion7():D}", body);

        Assert.Equal("invalid_json", await post.CodeAsync(HttpStatusCode.BadRequest));
        Assert.Equal("invalid_json", await patch.CodeAsync(HttpStatusCode.BadRequest));
        Assert.Empty(await shared.Node.Admin.NamesAsync(""));
    }

    [Fact]
    public async Task Body_OfBrokenUtf8_Is400()
    {
        using var content = new ByteArrayContent([.. "{\"name\":\""u8, 0xC3, 0x28, 0xFF, .. "\"}"u8]);
        content.Headers.ContentType = new("application/json");

        using var answer = await shared.Node.Admin.PostAsync(TenantCalls.Path, content);

        Assert.Equal("invalid_json", await answer.CodeAsync(HttpStatusCode.BadRequest));
    }

    [Fact]
    public async Task Body_NestedTooDeep_Is400()
    {
        var body = $$"""{"name":"a","metadata":{"k":{{new string('[', 100_000)}}{{new string(']', 100_000)}} } }""";

        using var answer = await shared.Node.Admin.SendAsync(HttpMethod.Post, TenantCalls.Path, body);

        Assert.Equal("invalid_json", await answer.CodeAsync(HttpStatusCode.BadRequest));
    }

    [Fact]
    public async Task Body_AboveOneMebibyte_Is413()
    {
        var body = $$"""{"name":"a","region":"{{new string('x', 1 << 20)}}"}""";

        using var answer = await shared.Node.Admin.SendAsync(HttpMethod.Post, TenantCalls.Path, body);

        Assert.Equal("input_too_large", await answer.CodeAsync(HttpStatusCode.RequestEntityTooLarge));
    }

    [Fact]
    public async Task Body_ThatDoesNotSayJson_Is415()
    {
        using var content = new StringContent("""{"name":"a"}""", Encoding.UTF8, "text/plain");

        using var answer = await shared.Node.Admin.PostAsync(TenantCalls.Path, content);

        Assert.Equal("unsupported_media_type", await answer.CodeAsync(HttpStatusCode.UnsupportedMediaType));
    }

    [Fact]
    public async Task Map_WithAHundredThousandEntries_IsOneErrorAndNotAHundredThousand()
    {
        var tags = string.Join(',', Enumerable.Range(0, 60_000).Select(i => $"\"{i}\":1"));

        using var answer = await shared.Node.Admin.SendAsync(HttpMethod.Post, TenantCalls.Path, $$"""{"name":"a","tags":{ {{tags}} } }""");

        Assert.Equal(["tags"], await answer.BadFieldsAsync());
        Assert.True(answer.Content.Headers.ContentLength is null or < 1000);
    }
}

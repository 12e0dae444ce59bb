using System.Net;
using System.Text.Json;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Tenants;

/// <summary>Bodies that are odd and not wrong, and the limits at which they become wrong.</summary>
public sealed class TenantOddInputTests(SharedNode shared) : IClassFixture<SharedNode>
{
    private readonly GatewayEnvironment _node = shared.Node;

    /// <summary>Each limit: what just fits, and one more.</summary>
    [Theory]
    [InlineData("name", 200)]
    [InlineData("region", 64)]
    [InlineData("metadata entries", 50)]
    [InlineData("metadata key", 64)]
    [InlineData("metadata value", 512)]
    [InlineData("tags entries", 20)]
    [InlineData("tags key", 64)]
    [InlineData("tags value", 256)]
    public async Task Limit_AtIt_IsTaken_AndOneAbove_Is400(string what, int limit)
    {
        using var fits = await _node.Admin.SendAsync(HttpMethod.Post, TenantCalls.Path, Body(what, limit));
        using var exceeds = await _node.Admin.SendAsync(HttpMethod.Post, TenantCalls.Path, Body(what, limit + 1));

        var made = await fits.JsonAsync(HttpStatusCode.Created);
        using var read = await _node.Admin.GetAsync(made.Uri());
        Assert.Equal(made.GetRawText(), (await read.JsonAsync(HttpStatusCode.OK)).GetRawText());
        Assert.StartsWith(what.Split(' ')[0], Assert.Single(await exceeds.BadFieldsAsync()), StringComparison.Ordinal);

        static string Body(string what, int size)
        {
            var parts = what.Split(' ');
            object? member = parts.Length == 1 ? new string('x', size) : parts[1] switch
            {
                "entries" => Enumerable.Range(0, size).ToDictionary(i => $"k{i}", _ => "v"),
                "key" => new Dictionary<string, string> { [new string('k', size)] = "v" },
                _ => new Dictionary<string, string> { ["k"] = new string('v', size) },
            };
            return JsonSerializer.Serialize(new Dictionary<string, object?> { ["name"] = "fits", [parts[0]] = member });
        }
    }

    [Theory]
    [InlineData("=HYPERLINK(\"http://x\")")]
    [InlineData("<script>alert(1)</script>")]
    [InlineData("'; DROP TABLE tenants; --")]
    [InlineData("\u202egpj.exe")]
    [InlineData("👨‍👩‍👧‍👦 e\u0301 𝔘")]
    public async Task Text_ThatIsOnlyOdd_IsKeptAsItIs(string text)
    {
        var made = await _node.MakeTenantAsync(new
        {
            name = text,
            metadata = new Dictionary<string, string> { [text] = text + "\n" },
            tags = new Dictionary<string, string> { [text] = text + "\n" },
        });
        using var read = await _node.Admin.GetAsync(made.Uri());

        var tenant = await read.JsonAsync(HttpStatusCode.OK);
        Assert.Equal(text, tenant.Text("name"));
        Assert.Equal(text + "\n", tenant.GetProperty("metadata").Text(text));
        Assert.Equal(text + "\n", tenant.GetProperty("tags").Text(text));
        Assert.Equal([text], await _node.Admin.NamesAsync($"metadata.{Uri.EscapeDataString(text)}={Uri.EscapeDataString(text + "\n")}"));
    }
}

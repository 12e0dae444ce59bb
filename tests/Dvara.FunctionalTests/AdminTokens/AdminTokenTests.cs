using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Dvara.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Dvara.FunctionalTests.AdminTokens;

public sealed class AdminTokenTests(SharedNode shared) : IClassFixture<SharedNode>
{
    private const string Path = "/v1/admin/tokens";

    private readonly GatewayEnvironment _node = shared.Node;

    [Fact]
    public async Task Token_WhenMade_WorksAndIsShownOnce()
    {
        using var answer = await _node.Admin.PostAsJsonAsync(Path, new { name = "export", scopes = new[] { "tokens:read", "costs:read" } });

        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        var made = await answer.Content.ReadFromJsonAsync<JsonElement>();
        var id = made.GetProperty("id").GetString()!;
        var secret = made.GetProperty("token").GetString()!;
        Assert.StartsWith("dvara_pat_", secret, StringComparison.Ordinal);
        Assert.Equal($"{Path}/{id}", answer.Headers.Location!.ToString());
        using var client = Client(_node, secret);
        var listed = await client.GetStringAsync(Path);
        var read = await client.GetFromJsonAsync<JsonElement>($"{Path}/{id}");
        Assert.DoesNotContain(secret, listed, StringComparison.Ordinal);
        Assert.False(read.TryGetProperty("token", out _));
        Assert.Equal(["costs:read", "tokens:read"], read.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()));
        Assert.DoesNotContain(secret, await _node.Admin.GetStringAsync("/v1/admin/audit/events"), StringComparison.Ordinal);
        // Nor anywhere in the folder: only its hash is kept.
        Assert.All(Directory.GetFiles(_node.DataDirectory, "dvara.db*"), file =>
            Assert.DoesNotContain(secret, ReadShared(file), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Token_WithoutTheScope_Is403AndNamesIt()
    {
        using var viewer = Client(_node, await MakeAsync(_node.Admin, new { name = "v", role = "viewer" }));

        using var answer = await viewer.GetAsync(Path);

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        var error = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error");
        Assert.Equal("missing_scope", error.GetProperty("code").GetString());
        Assert.Contains("tokens:read", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_ThatGrantsWhatItLacks_Is403()
    {
        using var maker = Client(_node, await MakeAsync(_node.Admin, new { name = "m", scopes = new[] { "tokens:write", "costs:read" } }));

        using var wider = await maker.PostAsJsonAsync(Path, new { name = "w", role = "owner" });
        using var equal = await maker.PostAsJsonAsync(Path, new { name = "e", scopes = new[] { "costs:read" } });

        Assert.Equal(HttpStatusCode.Forbidden, wider.StatusCode);
        Assert.Equal(HttpStatusCode.Created, equal.StatusCode);
    }

    [Fact]
    public async Task NarrowedToken_SeesAndMakesOnlyTokensOfItsTenant()
    {
        var (mine, foreign) = (await TenantAsync(_node, "mine"), await TenantAsync(_node, "foreign"));
        using var narrowed = Client(_node, await MakeAsync(_node.Admin, new { name = "n", role = "owner", tenantId = mine }));
        var owner = (await _node.Admin.GetFromJsonAsync<JsonElement>(Path)).GetProperty("items").EnumerateArray()
            .Single(t => t.GetProperty("name").GetString() == "bootstrap").GetProperty("id").GetString();

        var seen = (await narrowed.GetFromJsonAsync<JsonElement>(Path)).GetProperty("items");
        using var wider = await narrowed.PostAsJsonAsync(Path, new { name = "w", role = "viewer", tenantId = foreign });
        using var same = await narrowed.PostAsJsonAsync(Path, new { name = "s", role = "viewer" });
        using var read = await narrowed.GetAsync($"{Path}/{owner}");
        using var delete = await narrowed.DeleteAsync($"{Path}/{owner}");

        Assert.Equal(["n"], seen.EnumerateArray().Select(t => t.GetProperty("name").GetString()));
        Assert.Equal(HttpStatusCode.BadRequest, wider.StatusCode);
        Assert.Equal(mine, (await same.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("tenantId").GetString());
        Assert.Equal(HttpStatusCode.NotFound, read.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, delete.StatusCode);
    }

    [Fact]
    public async Task Token_WhenDeleted_StopsAtOnce()
    {
        using var made = await _node.Admin.PostAsJsonAsync(Path, new { name = "t", role = "owner" });
        var token = await made.Content.ReadFromJsonAsync<JsonElement>();
        using var client = Client(_node, token.GetProperty("token").GetString()!);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(Path)).StatusCode);

        using var deleted = await _node.Admin.DeleteAsync($"{Path}/{token.GetProperty("id").GetString()}");
        using var after = await client.GetAsync(Path);
        using var again = await _node.Admin.DeleteAsync($"{Path}/{token.GetProperty("id").GetString()}");

        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, after.StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, again.StatusCode);
        var deletions = (await _node.Admin.GetFromJsonAsync<JsonElement>("/v1/admin/audit/events?type=ADMIN_TOKEN_DELETED")).GetProperty("items");
        Assert.Single(deletions.EnumerateArray(), e => e.GetProperty("payload").GetProperty("id").GetString() == token.GetProperty("id").GetString());
    }

    [Fact]
    public async Task Token_WithAStaleETag_IsNotDeleted()
    {
        using var made = await _node.Admin.PostAsJsonAsync(Path, new { name = "t", role = "viewer" });
        var uri = made.Headers.Location!;

        using var stale = await DeleteAsync("\"1\"");
        using var current = await DeleteAsync(made.Headers.ETag!.Tag);

        Assert.Equal(HttpStatusCode.PreconditionFailed, stale.StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, current.StatusCode);

        async Task<HttpResponseMessage> DeleteAsync(string etag)
        {
            using var request = new HttpRequestMessage(HttpMethod.Delete, uri);
            request.Headers.TryAddWithoutValidation("If-Match", etag);
            return await _node.Admin.SendAsync(request);
        }
    }

    [Fact]
    public async Task Expiry_OneTickBeforeWorks_AtItIs401()
    {
        var clock = new FakeTimeProvider(new DateTimeOffset(2026, 4, 1, 0, 0, 0, TimeSpan.Zero));
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        using var client = Client(node, await MakeAsync(node.Admin, new { name = "t", role = "owner", expiresAt = "2026-04-02T00:00:00Z" }));

        clock.SetUtcNow(new DateTimeOffset(2026, 4, 2, 0, 0, 0, TimeSpan.Zero).AddTicks(-1));
        using var before = await client.GetAsync(Path);
        clock.Advance(TimeSpan.FromTicks(1));
        using var at = await client.GetAsync(Path);

        Assert.Equal(HttpStatusCode.OK, before.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, at.StatusCode);
        Assert.Contains("admin_token_expired", await at.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LastOwner_CannotBeDeleted_AndAnExpiredOneDoesNotCount()
    {
        var clock = new FakeTimeProvider(new DateTimeOffset(2026, 4, 1, 0, 0, 0, TimeSpan.Zero));
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        using var made = await node.Admin.PostAsJsonAsync(Path, new { name = "brief", role = "owner", expiresAt = "2026-04-02T00:00:00Z" });
        await MakeAsync(node.Admin, new { name = "narrow", role = "owner", tenantId = await TenantAsync(node, "t") });
        var bootstrap = await BootstrapAsync(node);
        clock.Advance(TimeSpan.FromDays(1));

        using var last = await node.Admin.DeleteAsync($"{Path}/{bootstrap}");
        using var expired = await node.Admin.DeleteAsync(made.Headers.Location);

        Assert.Equal(HttpStatusCode.Conflict, last.StatusCode);
        Assert.Contains("\"conflict\"", await last.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NoContent, expired.StatusCode);
    }

    [Fact]
    public async Task Owners_ThatAllDeleteEachOtherAtOnce_LeaveExactlyOne()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        List<(string Id, string Secret)> owners = [(await BootstrapAsync(node), GatewayEnvironment.AdminToken)];
        for (var i = 0; i < 7; i++)
        {
            using var made = await node.Admin.PostAsJsonAsync(Path, new { name = $"owner {i}", role = "owner" });
            var token = await made.Content.ReadFromJsonAsync<JsonElement>();
            owners.Add((token.GetProperty("id").GetString()!, token.GetProperty("token").GetString()!));
        }

        // Each deletes itself: without the check inside the transaction all of them could go.
        await Task.WhenAll(owners.Select(async owner =>
        {
            using var client = Client(node, owner.Secret);
            using var _ = await client.DeleteAsync($"{Path}/{owner.Id}");
        }));

        var alive = 0;
        foreach (var owner in owners)
        {
            using var client = Client(node, owner.Secret);
            alive += (await client.GetAsync(Path)).StatusCode == HttpStatusCode.OK ? 1 : 0;
        }

        Assert.Equal(1, alive);
    }

    [Fact]
    public async Task LastUse_IsShown_AndOtherRoutesDoNotLookTokensUp()
    {
        var clock = new FakeTimeProvider(new DateTimeOffset(2026, 4, 1, 0, 0, 0, TimeSpan.Zero));
        await using var node = await GatewayEnvironment.StartAsync(clock: clock);
        using var made = await node.Admin.PostAsJsonAsync(Path, new { name = "t", role = "owner" });
        using var client = Client(node, (await made.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("token").GetString()!);

        // Were the scheme a default, every request of the data plane would read the database.
        using var _ = await client.GetAsync("/healthz");
        var unused = await node.Admin.GetFromJsonAsync<JsonElement>(made.Headers.Location);
        clock.Advance(TimeSpan.FromMinutes(1));
        using var __ = await client.GetAsync(Path);
        clock.Advance(TimeSpan.FromMinutes(1));
        var used = await node.Admin.GetFromJsonAsync<JsonElement>(made.Headers.Location);

        Assert.Equal(JsonValueKind.Null, unused.GetProperty("lastUsedAt").ValueKind);
        Assert.Equal("2026-04-01T00:01:00Z", used.GetProperty("lastUsedAt").GetString());
    }

    [Fact]
    public async Task Tokens_PageByPage_AreEachListedOnceNewestFirst()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        for (var i = 0; i < 7; i++)
        {
            await MakeAsync(node.Admin, new { name = $"t{i}", role = "viewer" });
        }

        var names = new List<string?>();
        string? cursor = null;
        do
        {
            var page = await node.Admin.GetFromJsonAsync<JsonElement>($"{Path}?limit=3{(cursor is null ? "" : $"&cursor={cursor}")}");
            names.AddRange(page.GetProperty("items").EnumerateArray().Select(t => t.GetProperty("name").GetString()));
            cursor = page.GetProperty("nextCursor").GetString();
        }
        while (cursor is not null);

        Assert.Equal(["bootstrap", "t0", "t1", "t2", "t3", "t4", "t5", "t6"], names.Order(StringComparer.Ordinal));
        Assert.Equal("bootstrap", names[^1]);
    }

    [Theory]
    [InlineData("""{"name":"x"}""", "role")]
    [InlineData("""{"role":"viewer"}""", "name")]
    [InlineData("""{"name":"x","role":"viewer","expires_at":"2026-04-01"}""", "expiresAt")]
    [InlineData("""{"name":"x","role":"viewer","expiresAt":"2020-01-01T00:00:00Z"}""", "expiresAt")]
    [InlineData("""{"name":"x","scopes":["costs:read","nonsense"]}""", "scopes")]
    [InlineData("""{"name":"x","scopes":[null]}""", "scopes")]
    [InlineData("""{"name":"x","scopes":"costs:read"}""", "scopes")]
    [InlineData("""{"name":"x","role":"viewer","tenantId":"nonsense"}""", "tenantId")]
    [InlineData("""{"name":"x","role":"viewer","tenantId":"01985a3e-0000-7000-8000-000000000000"}""", "tenantId")]
    [InlineData("""{"name":7,"role":"viewer"}""", "name")]
    [InlineData("""{"name":"x","role":"viewer","tenant":"acme"}""", "tenant")]
    public async Task Request_ThatIsWrong_Is400AndNamesTheField(string body, string field)
    {
        using var content = new StringContent(body, new MediaTypeHeaderValue("application/json"));

        using var answer = await _node.Admin.PostAsync(Path, content);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        var error = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error");
        Assert.Equal("validation_error", error.GetProperty("code").GetString());
        Assert.Equal(field, error.GetProperty("param").GetString());
    }

    private static HttpClient Client(GatewayEnvironment node, string secret)
    {
        var client = new HttpClient { BaseAddress = node.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", secret);
        return client;
    }

    private static async Task<string> TenantAsync(GatewayEnvironment node, string name) =>
        (await node.MakeTenantAsync(new { name })).GetProperty("id").GetString()!;

    private static async Task<string> MakeAsync(HttpClient admin, object request)
    {
        using var answer = await admin.PostAsJsonAsync(Path, request);
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("token").GetString()!;
    }

    private static async Task<string> BootstrapAsync(GatewayEnvironment node) =>
        (await node.Admin.GetFromJsonAsync<JsonElement>(Path)).GetProperty("items").EnumerateArray()
            .Single(t => t.GetProperty("name").GetString() == "bootstrap").GetProperty("id").GetString()!;

    private static string ReadShared(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(stream, System.Text.Encoding.Latin1);
        return reader.ReadToEnd();
    }
}

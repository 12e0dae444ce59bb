using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Xunit;

namespace Dvara.FunctionalTests.ApiKeys;

/// <summary>Hostile and mistaken bodies: each is refused with its field, and makes nothing.</summary>
public sealed class ApiKeyBodiesTests(SharedNode shared) : IClassFixture<SharedNode>
{
    private static readonly string TwentyOneTags = Object(Enumerable.Range(0, 21).ToDictionary(i => $"t{i}", i => "v"));

    // (body, field of the error)
    private static readonly (string Body, string Field)[] Refused =
    [
        ("{}", "name"),
        ("""{"name":null}""", "name"),
        ("""{"name":""}""", "name"),
        ("""{"name":"  "}""", "name"),
        ("""{"name":42}""", "name"),
        ("""{"name":["a"]}""", "name"),
        ("""{"name":"a\u0000b"}""", "name"),
        ("""{"name":"a\nb"}""", "name"),
        ($$"""{"name":"{{new string('x', 129)}}"}""", "name"),
        ("""{"name":"gw_0123456789abcdef0123456789abcdef01234567"}""", "name"),
        ("""{"name":"a","scopes":["admin"]}""", "scopes"),
        ("""{"name":"a","scopes":[null]}""", "scopes"),
        ("""{"name":"a","scopes":"models:read"}""", "scopes"),
        ("""{"name":"a","models":["gpt-*-mini"]}""", "models"),
        ("""{"name":"a","models":[""]}""", "models"),
        ("""{"name":"a","models":["gpt 4o"]}""", "models"),
        ("""{"name":"a","models":[null]}""", "models"),
        ($$"""{"name":"a","models":["{{new string('m', 257)}}"]}""", "models"),
        ($$"""{"name":"a","models":[{{string.Join(',', Enumerable.Range(0, 101).Select(i => $"\"m{i}\""))}}]}""", "models"),
        ("""{"name":"a","tags":{"team":1}}""", "tags.team"),
        ("""{"name":"a","tags":{"team":{"a":"b"}}}""", "tags.team"),
        ("""{"name":"a","tags":{"team":null}}""", "tags.team"),
        ("""{"name":"a","tags":{"":"x"}}""", "tags."),
        ("""{"name":"a","tags":{"team":"x","Team":"y"}}""", "tags.Team"),
        ($$$"""{"name":"a","tags":{"team":"{{{new string('v', 257)}}}"}}""", "tags.team"),
        ($$$"""{"name":"a","tags":{"{{{new string('k', 65)}}}":"v"}}""", $"tags.{new string('k', 64)}…"),
        ($$$"""{"name":"a","tags":{{{TwentyOneTags}}}}""", "tags"),
        ("""{"name":"a","tags":[]}""", "tags"),
        ("""{"name":"a","expiresAt":"2020-01-01T00:00:00Z"}""", "expiresAt"),
        ("""{"name":"a","expiresAt":"2099-01-01"}""", "expiresAt"),
        ("""{"name":"a","expiresAt":4102444800}""", "expiresAt"),
        ("""{"name":"a","expiresAt":"tomorrow"}""", "expiresAt"),
        ("""{"name":"a","expiresAt":"2099-01-01T00:00:00Z","expires_at":"2098-01-01T00:00:00Z"}""", "expiresAt"),
        ("""{"name":"a","status":"REVOKED"}""", "status"),
        ("""{"name":"a","keyHash":"00"}""", "keyHash"),
        ("""{"name":"a","key":"gw_mine"}""", "key"),
        ("""{"name":"a","sha256":"00"}""", "sha256"),
        ("""{"name":"a","createdBy":"me"}""", "createdBy"),
        ("[]", ""),
        ("null", ""),
        ("\"name\"", ""),
    ];

    [Fact]
    public async Task Create_WithABadField_Is400NamingIt_AndMakesNothing()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        foreach (var (body, field) in Refused)
        {
            var error = await keys.RefusedAsync(HttpMethod.Post, keys.Path(""), body, HttpStatusCode.BadRequest, "validation_error");

            Assert.True(field == error.Text("param"), $"{body}: {error.GetRawText()}");
        }

        Assert.Empty((await keys.GetAsync("")).GetProperty("items").EnumerateArray());
        Assert.Empty(await keys.AuditAsync("API_KEY_CREATED"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{\"name\":\"a\",\"name\":\"b\"}")]
    [InlineData("{\"name\":\"a\"} {}")]
    [InlineData("{\"name\":NaN}")]
    public async Task Create_WithWhatIsNoJson_Is400(string body)
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);

        await keys.RefusedAsync(HttpMethod.Post, keys.Path(""), body, HttpStatusCode.BadRequest, "invalid_json");
    }

    [Theory]
    [InlineData("{\"name\":\"\\ud800\"}")]
    [InlineData("{\"name\":\"a\",\"tags\":{\"team\":\"\\udc00\"}}")]
    [InlineData("{\"name\":\"a\",\"tags\":{\"\\ud800\":\"x\"}}")]
    [InlineData("{\"name\":\"a\",\"models\":[\"\\ud800\"]}")]
    [InlineData("{\"name\":\"a\",\"scopes\":[\"\\ud800\"]}")]
    [InlineData("{\"name\":\"a\",\"expiresAt\":\"\\ud800\"}")]
    public async Task Create_WithHalfACharacter_Is400(string body)
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);

        using var answer = await keys.SendAsync(HttpMethod.Post, keys.Path(""), body);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
    }

    [Fact]
    public async Task Create_WithSeveralBadFields_NamesThemAll()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);

        var error = await keys.RefusedAsync(
            HttpMethod.Post, keys.Path(""), """{"scopes":["x"],"models":["*a"],"expiresAt":"2020-01-01T00:00:00Z"}""",
            HttpStatusCode.BadRequest, "validation_error");

        Assert.Equal(
            ["name", "scopes", "models", "expiresAt"],
            error.GetProperty("errors").EnumerateArray().Select(e => e.Text("field")));
    }

    [Fact]
    public async Task Create_WithoutJsonContentType_Is415AndTooLarge_Is413()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        using var form = new StringContent("name=bot");
        using var unsupported = await keys.Admin.PostAsync(keys.Path(""), form);
        using var request = new HttpRequestMessage(HttpMethod.Post, keys.Path(""))
        {
            Content = new StringContent($$"""{"name":"{{new string('x', 2 << 20)}}"}""", System.Text.Encoding.UTF8, "application/json"),
        };
        // Waits for the answer before it sends, as a body that size may be refused while it is on its way.
        request.Headers.ExpectContinue = true;
        using var large = await keys.Admin.SendAsync(request);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, unsupported.StatusCode);
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, large.StatusCode);
    }

    [Fact]
    public async Task Create_AtEveryLimit_IsAccepted()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);

        var made = await keys.NewKeyAsync(new
        {
            name = new string('n', 128),
            models = Enumerable.Range(0, 100).Select(i => $"m{i}".PadRight(255, 'x') + "*"),
            tags = Enumerable.Range(0, 20).ToDictionary(i => $"{i}".PadRight(64, 'k'), _ => new string('v', 256)),
            expiresAt = "9999-12-31T23:59:59Z",
        });

        Assert.Equal(100, made.GetProperty("models").GetArrayLength());
        Assert.Equal(JsonValueKind.Null, made.GetProperty("lastUsedAt").ValueKind);
        var identity = await keys.Cache.FindAsync(made.Text("key"), CancellationToken.None);
        Assert.Equal(20, identity!.Tags.Count);
    }

    [Theory]
    [InlineData("""{"name":null}""", "name")]
    [InlineData("""{"status":"REVOKED"}""", "status")]
    [InlineData("""{"sha256":"00"}""", "sha256")]
    [InlineData("""{"revoked":true}""", "revoked")]
    [InlineData("""{"scopes":["completions:read"]}""", "scopes")]
    [InlineData("""{"tags":{"TEAM":"b"}}""", "tags.TEAM")]
    [InlineData("""{"tags":{"x":["b"]}}""", "tags.x")]
    [InlineData("""{"expiresAt":"2020-01-01T00:00:00Z"}""", "expiresAt")]
    public async Task Patch_WithABadField_Is400AndChangesNothing(string body, string field)
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var made = await keys.NewKeyAsync(new { name = "bot", tags = new { team = "a" } });
        var before = await keys.GetAsync($"/{made.Text("id")}");

        var error = await keys.RefusedAsync(HttpMethod.Patch, keys.Path($"/{made.Text("id")}"), body, HttpStatusCode.BadRequest, "validation_error");

        Assert.Equal(field, error.Text("param"));
        Assert.Equal(before.GetRawText(), (await keys.GetAsync($"/{made.Text("id")}")).GetRawText());
    }

    [Theory]
    [InlineData("""{"overlapSeconds":-1}""")]
    [InlineData("""{"overlapSeconds":2592001}""")]
    [InlineData("""{"overlapSeconds":1.5}""")]
    [InlineData("""{"overlapSeconds":"60"}""")]
    [InlineData("""{"overlapSeconds":1e30}""")]
    [InlineData("""{"overlapSecond":60}""")]
    [InlineData("""{"overlapSeconds":99999999999999999999}""")]
    public async Task Rotate_WithABadOverlap_Is400AndRotatesNothing(string body)
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);
        var made = await keys.NewKeyAsync(new { name = "bot" });

        var error = await keys.RefusedAsync(
            HttpMethod.Post, keys.Path($"/{made.Text("id")}/rotate"), body, HttpStatusCode.BadRequest, "validation_error");

        Assert.StartsWith("overlapSecond", error.Text("param"));
        Assert.Single((await keys.GetAsync("")).GetProperty("items").EnumerateArray());
    }

    [Theory]
    [InlineData("""{"name":"a","prefix":"gw_01234567"}""", "sha256")]
    [InlineData("""{"name":"a","prefix":"gw_01234567","sha256":"xyz"}""", "sha256")]
    [InlineData("""{"name":"a","prefix":"gw_0123456","sha256":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}""", "prefix")]
    [InlineData("""{"name":"a","prefix":"gw_<script>","sha256":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}""", "prefix")]
    [InlineData("""{"prefix":"gw_01234567","sha256":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}""", "name")]
    public async Task Import_WithABadField_Is400(string body, string field)
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);

        var error = await keys.RefusedAsync(HttpMethod.Post, keys.Path("/import"), body, HttpStatusCode.BadRequest, "validation_error");

        Assert.Equal(field, error.Text("param"));
    }

    private static string Object(Dictionary<string, string> map) => JsonSerializer.Serialize(map);

    [Fact]
    public async Task Create_WithABareDate_SaysHowToWriteIt()
    {
        var keys = await TenantKeys.CreateAsync(shared.Node);

        using var answer = await keys.Admin.PostAsJsonAsync(keys.Path(""), new { name = "a", expiresAt = "2099-01-01" });

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("2099-01-01T00:00:00Z", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }
}

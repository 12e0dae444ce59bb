using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Gateway;

/// <summary>
/// What must be refused at the door: each row with its status and code, in the contract's shape, with a request id, without the key,
/// without a call upstream and without a charge. One gateway serves all rows, as it would in production.
/// </summary>
public sealed class BadInputTests(BadInputTests.Gateway gateway) : IClassFixture<BadInputTests.Gateway>
{
    private const string Head = """{"model":"gpt-4o","messages":[{"role":"user","content":"Hi"}]""";

    public static TheoryData<string, string, int, string, string?> Bodies => new()
    {
        { "empty", "", 400, "invalid_json", null },
        { "null", "null", 400, "invalid_json", null },
        { "array", "[]", 400, "invalid_json", null },
        { "string", "\"x\"", 400, "invalid_json", null },
        { "truncated", Head, 400, "invalid_json", null },
        { "trailing object", Head + "}{}", 400, "invalid_json", null },
        { "comment", Head + "/* */}", 400, "invalid_json", null },
        { "single quotes", "{'model':'gpt-4o'}", 400, "invalid_json", null },
        { "NaN", Head + ",\"temperature\":NaN}", 400, "invalid_json", null },
        { "byte order mark", "\uFEFF" + Head + "}", 400, "invalid_json", null },
        { "duplicate model", Head + ",\"model\":\"gpt-4o-mini\"}", 400, "invalid_json", null },
        { "escaped twin of model", Head + ",\"\\u006dodel\":\"gpt-4o-mini\"}", 400, "invalid_json", null },
        { "duplicate max_tokens", Head + ",\"max_tokens\":1,\"max_tokens\":2}", 400, "invalid_json", null },
        { "nested duplicate", Head + ",\"metadata\":{\"tags\":{\"a\":\"1\",\"a\":\"2\"}}}", 400, "invalid_json", null },
        { "depth 65", Head + ",\"x\":" + new string('[', 65) + new string(']', 65) + "}", 400, "invalid_json", null },
        { "a million brackets", Head + ",\"x\":" + new string('[', 1_000_000), 400, "invalid_json", null },
        { "lone surrogate", Head + ",\"user\":\"\\ud800\"}", 400, "invalid_json", null },
        { "escaped NUL", Head + ",\"user\":\"a\\u0000b\"}", 400, "invalid_json", null },
        { "no model", "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", 400, "validation_error", "model" },
        { "empty model", "{\"model\":\"\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", 400, "validation_error", "model" },
        { "long model", "{\"model\":\"gpt-" + new string('x', 300) + "\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", 400, "validation_error", "model" },
        { "model is a number", "{\"model\":4,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", 400, "validation_error", "model" },
        { "other case of model", "{\"MODEL\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", 400, "validation_error", "model" },
        { "model in the folder above", Named("../gpt-4o"), 400, "validation_error", "model" },
        { "model through a folder", Named("mock/../x"), 400, "validation_error", "model" },
        { "model through two folders", Named("mock/gpt-4o/../../x"), 400, "validation_error", "model" },
        { "model read backwards", Named("mock/gpt\\u202e4"), 400, "validation_error", "model" },
        { "model with a bell", Named("gpt\\u00074o"), 400, "validation_error", "model" },
        { "model with a space behind", Named("gpt-4o "), 400, "validation_error", "model" },
        { "no messages", "{\"model\":\"gpt-4o\"}", 400, "validation_error", "messages" },
        { "messages of none", Saying("[]"), 400, "validation_error", "messages" },
        { "messages null", Saying("null"), 400, "validation_error", "messages" },
        { "unknown role", Saying("[{\"role\":\"boss\",\"content\":\"Hi\"}]"), 400, "validation_error", "messages[0].role" },
        { "no role", Saying("[{\"content\":\"Hi\"}]"), 400, "validation_error", "messages[0].role" },
        { "content null", Saying("[{\"role\":\"user\",\"content\":null}]"), 400, "validation_error", "messages[0].content" },
        { "content a number", Saying("[{\"role\":\"user\",\"content\":7}]"), 400, "validation_error", "messages[0].content" },
        { "content an object", Saying("[{\"role\":\"user\",\"content\":{}}]"), 400, "validation_error", "messages[0].content" },
        { "unknown model", "{\"model\":\"nobody-knows-me\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", 404, "model_not_found", "model" },
        { "look-alike letters", Named("gрt-4o"), 400, "validation_error", "model" },
        { "look-alike letters behind the prefix", Named("mock/gpt-4\\u043e"), 400, "validation_error", "model" },
        { "provider without credential", "{\"model\":\"mistral-large-latest\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", 400, "provider_not_configured", "model" },
        { "max_tokens 0", Head + ",\"max_tokens\":0}", 400, "validation_error", "max_tokens" },
        { "max_tokens -1", Head + ",\"max_tokens\":-1}", 400, "validation_error", "max_tokens" },
        { "max_tokens 1.5", Head + ",\"max_tokens\":1.5}", 400, "validation_error", "max_tokens" },
        { "max_tokens text", Head + ",\"max_tokens\":\"100\"}", 400, "validation_error", "max_tokens" },
        { "max_tokens 2^63", Head + ",\"max_tokens\":9223372036854775808}", 400, "validation_error", "max_tokens" },
        { "max_tokens 1e999", Head + ",\"max_tokens\":1e999}", 400, "validation_error", "max_tokens" },
        { "max_tokens true", Head + ",\"max_tokens\":true}", 400, "validation_error", "max_tokens" },
        { "n text", Head + ",\"n\":\"2\"}", 400, "validation_error", "n" },
        { "stream text", Head + ",\"stream\":\"yes\"}", 400, "validation_error", "stream" },
        { "stream 1", Head + ",\"stream\":1}", 400, "validation_error", "stream" },
        { "user of 1 MB", Head + ",\"user\":\"" + new string('u', 1 << 20) + "\"}", 400, "validation_error", "user" },
        { "21 tags", Head + ",\"metadata\":{\"tags\":{" + string.Join(',', Enumerable.Range(0, 21).Select(i => $"\"t{i}\":\"v\"")) + "}}}", 400, "validation_error", "metadata.tags.t20" },
        { "tag key of 65", Head + ",\"metadata\":{\"tags\":{\"" + new string('k', 65) + "\":\"v\"}}}", 400, "validation_error", null },
        { "tag value of 257", Head + ",\"metadata\":{\"tags\":{\"k\":\"" + new string('v', 257) + "\"}}}", 400, "validation_error", "metadata.tags.k" },
        { "tag value is a number", Head + ",\"metadata\":{\"tags\":{\"k\":1}}}", 400, "validation_error", "metadata.tags.k" },
        { "nested tag", Head + ",\"metadata\":{\"tags\":{\"k\":{\"a\":\"b\"}}}}", 400, "validation_error", "metadata.tags.k" },
        { "tags are a list", Head + ",\"metadata\":{\"tags\":[\"a\"]}}", 400, "validation_error", "metadata.tags" },
    };

    public static TheoryData<string, string, int, string> Keys => new()
    {
        { "Authorization", "", 401, "api_key_required" },
        { "Authorization", "Bearer ", 401, "api_key_required" },
        { "Authorization", "Bearer sk-1234567890", 401, "invalid_api_key" },
        { "Authorization", "Bearer ' OR '1'='1", 401, "invalid_api_key" },
        { "Authorization", "Bearer %", 401, "invalid_api_key" },
        { "Authorization", "Bearer null", 401, "invalid_api_key" },
        { "Authorization", "Basic Z3dfOng=", 401, "invalid_api_key" },
        { "Authorization", "Bearer " + GatewayEnvironment.AdminToken, 401, "invalid_api_key" },
        { "Authorization", "Bearer gw_0000000000000000000000000000000000000000000000000", 401, "invalid_api_key" },
        { "Authorization", "Bearer gw_0123456789abcdef0123456789abcdef01234567", 401, "invalid_api_key" },
        { "x-api-key", "gw_x", 401, "invalid_api_key" },
    };

    public static TheoryData<string, string, int, string> Targets => new()
    {
        { "POST", "/v1/unknown", 404, "resource_not_found" },
        { "POST", "/v1/responses", 404, "resource_not_found" },
        { "POST", "/v1/images/generations", 404, "resource_not_found" },
        { "GET", "/v1/realtime", 404, "resource_not_found" },
        { "GET", "/v1/chat/completions", 405, "method_not_allowed" },
        { "DELETE", "/v1/embeddings", 405, "method_not_allowed" },
        { "TRACE", "/v1/chat/completions", 405, "method_not_allowed" },
        { "POST", "/v1/chat/completions/", 404, "resource_not_found" },
        { "POST", "/v1/Chat/completions", 404, "resource_not_found" },
        { "GET", "/V1/models", 404, "resource_not_found" },
        { "POST", "/v1//chat/completions", 400, "invalid_path" },
        { "POST", "/v1/%63hat/completions", 400, "invalid_path" },
        { "POST", "/v1/x/../chat/completions", 400, "invalid_path" },
        { "POST", "/v1/chat/completions;x=1", 400, "invalid_path" },
        { "POST", "/v1\\chat\\completions", 400, "invalid_path" },
        { "POST", "http://localhost/v1/chat/completions", 400, "invalid_path" },
        { "POST", "/v1/chat/completions?key=gw_secret", 401, "invalid_api_key" },
        { "POST", "/gw_secret/v1/chat/completions", 401, "invalid_api_key" },
        { "POST", "/v1/%67w_secret/chat/completions", 401, "invalid_api_key" },
        { "GET", "/v1/models/dvara_pat_secret", 401, "invalid_api_key" },
        { "POST", "/v1/models/../chat/completions", 400, "invalid_path" },
        { "POST", "/v1/admin/../chat/completions", 400, "invalid_path" },
        { "POST", "/v1/admin/%2e%2e/chat/completions", 400, "invalid_path" },
        { "POST", "/v1/admin/.%2E/chat/completions", 400, "invalid_path" },
        { "POST", "/v1/admin/x/../../chat/completions", 400, "invalid_path" },
        { "GET", "/v1/models/../admin/tenants", 400, "invalid_path" },
        { "GET", "/v1/models/x%2F..%2f..%2Fadmin", 400, "invalid_path" },
        { "GET", "/v1/models/.", 400, "invalid_path" },
        { "GET", "/v1/models/..", 400, "invalid_path" },
        { "GET", "/v1/admin/../../healthz", 400, "invalid_path" },
        { "GET", "/v1/admin/tenants/.", 400, "invalid_path" },
    };

    /// <summary>Other spellings of paths that an admin token opens. {id} stands for a tenant's.</summary>
    public static TheoryData<string> AdminTargets =>
    [
        "/v1/ADMIN/tenants", "/V1/admin/tenants", "/v1/admin/TENANTS", "/v1/admin/tenants/", "/v1/admin/%74enants", "/v1/ADMIN/audit/events/",
        "/v1/admin/tenants/{id}/", "/v1/admin/tenants/{id}/Keys", "/v1/admin/tenants/{id}%2Fkeys", "/v1/admin/tenants%2F{id}", "/v1/admin/",
    ];

    /// <summary>{key} stands for the tenant's.</summary>
    public static TheoryData<string, string, int> Wires => new()
    {
        { "request line over 8 KiB", "POST /v1/" + new string('a', 9000) + " HTTP/1.1\r\nHost: x\r\n\r\n", 414 },
        { "101 headers", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n" + string.Concat(Enumerable.Range(0, 101).Select(i => $"h{i}: 1\r\n")) + "\r\n", 431 },
        { "headers over 32 KiB", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nh: " + new string('a', 33 << 10) + "\r\n\r\n", 431 },
        { "two content lengths", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400 },
        { "negative length", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400 },
        { "length with a sign", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}", 400 },
        { "length of 30 digits", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 000000000000000000000000000002\r\n\r\n{}", 400 },
        { "length and chunks", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400 },
        { "web socket", "GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n", 400 },
        { "hexadecimal length", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 0x5\r\n\r\n", 400 },
        { "unknown transfer coding", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n", 400 },
        { "list of transfer codings", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400 },
        { "chunked not last", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400 },
        { "two transfer codings", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400 },
        { "chunks in HTTP/1.0", "POST /v1/chat/completions HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400 },
        { "space before the colon", "POST /v1/chat/completions HTTP/1.1\r\nHost : x\r\n\r\n", 400 },
        { "folded header", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400 },
        { "NUL in a value", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 400 },
        { "no host", "POST /v1/chat/completions HTTP/1.1\r\n\r\n", 400 },
        { "two hosts", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400 },
        { "headers that do not arrive", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Slow: a", 408 },
        { "body that does not arrive", "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", 408 },
    };

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task Body_IsRefused(string row, string body, int status, string code, string? param)
    {
        Assert.NotEmpty(row);
        using var answer = await gateway.Tenant.PostAsync("/v1/chat/completions", body);

        var error = await gateway.ExpectRefusalAsync(answer, status, code);
        if (param is not null)
        {
            Assert.Equal(param, (string?)error["param"]);
        }
    }

    [Theory]
    [MemberData(nameof(Keys))]
    public async Task Key_IsRefused(string header, string value, int status, string code)
    {
        using var request = gateway.Request(Head + "}");
        request.Headers.Remove("Authorization");
        request.Headers.TryAddWithoutValidation(header, value);

        using var answer = await gateway.Environment.Client.SendAsync(request);

        await gateway.ExpectRefusalAsync(answer, status, code);
    }

    [Fact]
    public async Task Keys_TriedByTheHundred_AreSlowedDown_AndGoodOnesAreNot()
    {
        await using var strict = await GatewayEnvironment.StartAsync(new Dictionary<string, string?> { ["Dvara:Gateway:BadKeysPerSecond"] = "1" });
        using var tenant = await TestTenant.CreateAsync(strict);
        var seen = new List<HttpResponseMessage>();
        for (var i = 0; i < 100; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/models") { Headers = { Authorization = new("Bearer", $"gw_{i}") } };
            seen.Add(await strict.Client.SendAsync(request));
        }

        using var good = await tenant.Client.GetAsync("/v1/models");
        var refused = seen.Where(answer => (int)answer.StatusCode == 429).ToList();

        Assert.Equal(200, (int)good.StatusCode);
        Assert.InRange(refused.Count, 50, 99);
        Assert.All(refused, answer => Assert.NotNull(answer.Headers.RetryAfter));
        Assert.All(seen.Except(refused), answer => Assert.Equal(401, (int)answer.StatusCode));
        await gateway.ExpectRefusalAsync(refused[0], 429, "rate_limit_exceeded");
    }

    [Theory]
    [InlineData("2\n{}\r\n0\r\n\r\n")]
    [InlineData("2;a\nb\r\n{}\r\n0\r\n\r\n")]
    [InlineData("zz\r\n{}\r\n0\r\n\r\n")]
    [InlineData("2\r\n{}x0\r\n\r\n")]
    public async Task Chunks_ThatAreNone_AreRefused_Closed_AndInTheTrail(string chunks)
    {
        using var tenant = await TestTenant.CreateAsync(gateway.Environment);
        var (seen, text) = await RawHttp.SendAsync(
            gateway.Environment.BaseAddress,
            $"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.Key}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}",
            TestContext.Current.CancellationToken);

        Assert.Equal(400, seen);
        Assert.Contains("\"code\":\"invalid_request\"", text, StringComparison.Ordinal);
        Assert.Empty(gateway.Upstream.Calls);
        var trail = JsonNode.Parse(await gateway.Environment.Admin.GetStringAsync($"/v1/admin/audit/events?type=GATEWAY_REQUEST&tenantId={tenant.Id}"))!;
        var refusal = Assert.Single(trail["items"]!.AsArray())!;
        Assert.Contains((string)refusal["requestId"]!, text, StringComparison.Ordinal);
        Assert.Equal(
            ("refused", 400, "invalid_request"),
            ((string?)refusal["payload"]!["outcome"], (int?)refusal["payload"]!["status"], (string?)refusal["payload"]!["code"]));
    }

    [Fact]
    public async Task TwoKeys_ThatDiffer_AreRefused()
    {
        using var request = gateway.Request(Head + "}");
        request.Headers.Add("x-api-key", "gw_another");

        using var answer = await gateway.Environment.Client.SendAsync(request);

        await gateway.ExpectRefusalAsync(answer, 401, "conflicting_credentials");
    }

    [Theory]
    [MemberData(nameof(Targets))]
    public async Task Target_IsRefused_AndNeverForwarded(string method, string target, int status, string code)
    {
        var body = Head + "}";
        var (seen, text) = await RawHttp.SendAsync(
            gateway.Environment.BaseAddress,
            $"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {gateway.Tenant.Key}\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}",
            TestContext.Current.CancellationToken);

        Assert.Equal(status, seen);
        Assert.Contains($"\"code\":\"{code}\"", text, StringComparison.Ordinal);
        Assert.Empty(gateway.Upstream.Calls);
    }

    [Theory]
    [MemberData(nameof(AdminTargets))]
    public async Task AdminTarget_SpelledOtherwise_IsNotFound(string target)
    {
        var (seen, text) = await RawHttp.SendAsync(
            gateway.Environment.BaseAddress,
            $"GET {target.Replace("{id}", gateway.Tenant.Id, StringComparison.Ordinal)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {GatewayEnvironment.AdminToken}\r\n\r\n",
            TestContext.Current.CancellationToken);

        Assert.Equal(404, seen);
        Assert.Contains("_found\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AdminTarget_WithAnIdInCapitals_IsFound()
    {
        using var answer = await gateway.Environment.Admin.GetAsync($"/v1/admin/tenants/{gateway.Tenant.Id.ToUpperInvariant()}/keys");

        Assert.Equal(System.Net.HttpStatusCode.OK, answer.StatusCode);
    }

    [Theory]
    [MemberData(nameof(Wires))]
    public async Task Wire_IsRefused_AndClosed(string row, string bytes, int status)
    {
        Assert.NotEmpty(row);
        var (seen, text) = await RawHttp.SendAsync(
            gateway.Environment.BaseAddress, bytes.Replace("{key}", gateway.Tenant.Key, StringComparison.Ordinal), TestContext.Current.CancellationToken);

        Assert.Equal(status, seen);
        var (head, body) = (text[..text.IndexOf("\r\n\r\n", StringComparison.Ordinal)], text[(text.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..]);
        Assert.Contains("Connection: close", head, StringComparison.Ordinal);
        // One JSON object and nothing behind it.
        var error = JsonNode.Parse(body[body.IndexOf('{', StringComparison.Ordinal)..(body.LastIndexOf('}') + 1)])!["error"]!;
        Assert.Equal("invalid_request", (string?)error["code"]);
        Assert.Contains($"x-request-id: {error["request_id"]}", head, StringComparison.Ordinal);
        Assert.Empty(gateway.Upstream.Calls);
        Assert.Empty(await gateway.Tenant.CostsAsync());
    }

    [Theory]
    [InlineData("text/plain", null)]
    [InlineData(null, null)]
    [InlineData("application/json; charset=utf-16", null)]
    [InlineData("application/json", "gzip")]
    public async Task Media_IsRefused(string? type, string? encoding)
    {
        using var request = gateway.Request(Head + "}");
        request.Content!.Headers.ContentType = type is null ? null : MediaTypeHeaderValue.Parse(type);
        if (encoding is not null)
        {
            request.Content.Headers.ContentEncoding.Add(encoding);
        }

        using var answer = await gateway.Environment.Client.SendAsync(request);

        await gateway.ExpectRefusalAsync(answer, 415, "unsupported_media_type");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Size_OverTheLimit_Is413_DeclaredOrNot(bool declared)
    {
        using var request = gateway.Request(Head + ",\"x\":\"" + new string('x', Gateway.MaxBodyBytes) + "\"}");
        request.Headers.TransferEncodingChunked = !declared;
        request.Headers.ExpectContinue = declared;

        using var answer = await gateway.Environment.Client.SendAsync(request);

        await gateway.ExpectRefusalAsync(answer, 413, "input_too_large");
    }

    [Theory]
    [InlineData("novalue")]
    [InlineData("=v")]
    [InlineData("a=1,A=2")]
    public async Task TagHeader_IsRefused(string header)
    {
        using var request = gateway.Request(Head + "}");
        request.Headers.TryAddWithoutValidation("X-Dvara-Tags", header);

        using var answer = await gateway.Environment.Client.SendAsync(request);

        await gateway.ExpectRefusalAsync(answer, 400, "validation_error");
    }

    [Fact]
    public async Task Loop_IsCut()
    {
        using var request = gateway.Request(Head + "}");
        await using var second = await GatewayEnvironment.StartAsync(new Dictionary<string, string?>
        {
            ["DVARA_OPENAI_BASE_URL"] = gateway.Environment.BaseAddress + "v1",
            ["DVARA_OPENAI_API_KEY"] = gateway.Tenant.Key,
            ["DVARA_MASTER_KEY"] = Gateway.MasterKey,
        });
        using var tenant = await TestTenant.CreateAsync(second);

        // The second one's mark is the first one's too (one installation, one master key), so the call is recognised on arrival.
        using var answer = await tenant.PostAsync("/v1/chat/completions", Head + "}");

        await gateway.ExpectRefusalAsync(answer, 508, "loop_detected");
    }

    [Fact]
    public async Task Loop_ThroughAProxy_IsCut_AndNotTriedAgain()
    {
        await using var proxy = await FakeUpstream.StartAsync();
        await using var node = await GatewayEnvironment.StartAsync(proxy.Settings);
        using var tenant = await TestTenant.CreateAsync(node);
        proxy.Answer = async (httpContext, call) =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, call.Path) { Content = new ByteArrayContent(call.Body) };
            request.Content.Headers.ContentType = new("application/json");
            request.Headers.Add("CDN-Loop", call.Headers["CDN-Loop"]);
            using var passed = await node.Client.SendAsync(request);
            httpContext.Response.StatusCode = (int)passed.StatusCode;
            httpContext.Response.Headers["CDN-Loop"] = passed.Headers.GetValues("CDN-Loop").Single();
            await passed.Content.CopyToAsync(httpContext.Response.Body);
        };

        using var answer = await tenant.PostAsync("/v1/chat/completions", Head + "}");

        await gateway.ExpectRefusalAsync(answer, 508, "loop_detected");
        Assert.Equal("false", answer.Headers.GetValues("x-should-retry").Single());
        Assert.False(answer.Headers.Contains("CDN-Loop"));
        Assert.Single(proxy.Calls);
        Assert.Equal("FAILED", (string?)Assert.Single(await tenant.CostsAsync())["state"]);
    }

    [Fact]
    public async Task TraceId_IsEchoedOnlyWhenWellFormed()
    {
        using var good = gateway.Request("{}");
        good.Headers.Add("X-Trace-ID", "trace:1.2-3_4");
        using var bad = gateway.Request("{}");
        bad.Headers.TryAddWithoutValidation("X-Trace-ID", "{\"a\": 1}");

        using var echoed = await gateway.Environment.Client.SendAsync(good);
        using var dropped = await gateway.Environment.Client.SendAsync(bad);

        Assert.Equal("trace:1.2-3_4", echoed.Headers.GetValues("X-Trace-ID").Single());
        Assert.False(dropped.Headers.Contains("X-Trace-ID"));
    }

    private static string Named(string model) => $"{{\"model\":\"{model}\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hi\"}}]}}";

    private static string Saying(string messages) => $"{{\"model\":\"gpt-4o\",\"messages\":{messages}}}";

    /// <summary>One gateway for all rows.</summary>
    public sealed class Gateway : IAsyncLifetime
    {
        public const int MaxBodyBytes = 2 << 20;
        public const string MasterKey = "bad-input-tests-master-key-0123456789";

        public FakeUpstream Upstream { get; private set; } = null!;

        public GatewayEnvironment Environment { get; private set; } = null!;

        public TestTenant Tenant { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Upstream = await FakeUpstream.StartAsync();
            var settings = Upstream.Settings;
            settings["Dvara:Gateway:MaxBodyBytes"] = MaxBodyBytes.ToString(System.Globalization.CultureInfo.InvariantCulture);
            settings["DVARA_MASTER_KEY"] = MasterKey;
            Environment = await GatewayEnvironment.StartAsync(settings);
            Tenant = await TestTenant.CreateAsync(Environment);
        }

        public async ValueTask DisposeAsync()
        {
            Tenant.Dispose();
            await Environment.DisposeAsync();
            await Upstream.DisposeAsync();
        }

        public HttpRequestMessage Request(string body)
        {
            var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json") };
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Tenant.Key);
            return request;
        }

        public async Task<JsonNode> ExpectRefusalAsync(HttpResponseMessage answer, int status, string code)
        {
            var text = await answer.Content.ReadAsStringAsync();
            Assert.Equal(status, (int)answer.StatusCode);
            var error = JsonNode.Parse(text)!["error"]!;
            Assert.Equal(code, (string?)error["code"]);
            Assert.Equal(["message", "type", "code", "param", "request_id"], error.AsObject().Select(member => member.Key));
            Assert.Equal(answer.Headers.GetValues("x-request-id").Single(), (string?)error["request_id"]);
            Assert.False(string.IsNullOrEmpty((string?)error["message"]));
            Assert.DoesNotContain(Tenant.Key, text, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", text, StringComparison.Ordinal);
            Assert.Empty(Upstream.Calls);
            return error;
        }
    }
}

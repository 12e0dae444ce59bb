using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Hosting;

/// <summary>What Kestrel refuses before there is a request; the table of such requests is in <c>Gateway/BadInputTests</c>.</summary>
public sealed class BadRequestTests : IDisposable
{
    private const string Malformed = "GET /healthz\r\n\r\n";

    private readonly string _folder = Directory.CreateTempSubdirectory("dvara-tls-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task BadRequest_BehindAGoodOne_IsAnsweredAfterIt()
    {
        await using var node = await GatewayEnvironment.StartAsync();

        var (_, text) = await RawHttp.SendAsync(
            node.BaseAddress, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + Malformed, TestContext.Current.CancellationToken);

        var answers = text.Split("HTTP/1.1 ", StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, answers.Length);
        Assert.StartsWith("200", answers[0], StringComparison.Ordinal);
        ExpectOurs(answers[1]);
    }

    [Fact]
    public async Task BadRequest_ForAHead_HasNoBody()
    {
        await using var node = await GatewayEnvironment.StartAsync();

        var (status, text) = await RawHttp.SendAsync(node.BaseAddress, "HEAD /healthz HTTP/1.1\r\n\r\n", TestContext.Current.CancellationToken);

        Assert.Equal(400, status);
        Assert.Contains("x-request-id: ", text, StringComparison.Ordinal);
        Assert.EndsWith("\r\n\r\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BadRequest_ByItsMethod_SaysWhichOneIsAllowed()
    {
        await using var node = await GatewayEnvironment.StartAsync();

        var (status, text) = await RawHttp.SendAsync(node.BaseAddress, "GET * HTTP/1.1\r\nHost: x\r\n\r\n", TestContext.Current.CancellationToken);

        Assert.Equal(405, status);
        Assert.Contains("\r\nAllow: OPTIONS\r\n", text, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"method_not_allowed\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task BadRequest_OverTls_IsAnsweredInsideOfIt()
    {
        await using var node = await StartOverTlsAsync();

        var (good, _) = await RawHttp.SendAsync(
            node.BaseAddress, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", TestContext.Current.CancellationToken);
        var (_, text) = await RawHttp.SendAsync(node.BaseAddress, Malformed, TestContext.Current.CancellationToken);

        Assert.Equal(200, good);
        ExpectOurs(text.Replace("HTTP/1.1 ", "", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Http2_HeadersOverTheLimit_EndTheirStreamOnly()
    {
        await using var node = await StartOverTlsAsync();
        using var client = Http2Client(node);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/healthz") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        for (var i = 0; i < 40; i++)
        {
            request.Headers.Add($"x-{i}", new string('x', 1000));
        }

        HttpStatusCode? status = null;
        try
        {
            using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
            status = answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            // A stream that is reset is a refusal, too.
        }

        Assert.True(status is null or HttpStatusCode.RequestHeaderFieldsTooLarge, $"{status}");
        Assert.Equal(HttpStatusCode.OK, await Http2HealthAsync(client));
    }

    [Fact]
    public async Task Http2_StreamsThatAreOpenedAndReset_HoldNobodyElseUp()
    {
        await using var node = await StartOverTlsAsync();
        using var others = Http2Client(node);
        using var connection = new TcpClient();
        await connection.ConnectAsync(node.BaseAddress.Host, node.BaseAddress.Port, TestContext.Current.CancellationToken);
        await using var stream = new SslStream(connection.GetStream(), false, (_, certificate, _, _) => certificate is not null);
        await stream.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions { TargetHost = node.BaseAddress.Host, ApplicationProtocols = [SslApplicationProtocol.Http2] },
            TestContext.Current.CancellationToken);

        var flood = FloodAsync(stream);
        Assert.Equal(HttpStatusCode.OK, await Http2HealthAsync(others));
        await flood;
        Assert.Equal(HttpStatusCode.OK, await Http2HealthAsync(others));
    }

    /// <summary>Opens 10,000 streams and resets each at once, or as many as the server bears with.</summary>
    private static async Task FloodAsync(SslStream stream)
    {
        // Of HPACK's static table: GET, https, /; and an authority of one letter.
        byte[] head = [0x82, 0x87, 0x84, 0x41, 1, (byte)'x'];
        try
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
            await stream.WriteAsync(Frame(type: 4, flags: 0, id: 0, []));
            for (var id = 1; id < 20_000; id += 2)
            {
                await stream.WriteAsync((byte[])[.. Frame(type: 1, flags: 5, id, head), .. Frame(type: 3, flags: 0, id, [0, 0, 0, 8])]);
            }
        }
        catch (IOException)
        {
            // It ended the connection.
        }

        static byte[] Frame(byte type, byte flags, int id, byte[] payload) =>
            [0, 0, (byte)payload.Length, type, flags, (byte)(id >> 24), (byte)(id >> 16), (byte)(id >> 8), (byte)id, .. payload];
    }

    private static HttpClient Http2Client(GatewayEnvironment node) => new(new SocketsHttpHandler
    {
        SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null },
    })
    {
        BaseAddress = node.BaseAddress,
    };

    private static async Task<HttpStatusCode> Http2HealthAsync(HttpClient client)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/healthz") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }

    private async Task<GatewayEnvironment> StartOverTlsAsync()
    {
        var (certificate, key) = (Path.Combine(_folder, "certificate.pem"), Path.Combine(_folder, "key.pem"));
        using (var secret = ECDsa.Create(ECCurve.NamedCurves.nistP256))
        {
            var request = new CertificateRequest("CN=localhost", secret, HashAlgorithmName.SHA256);
            using var made = request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
            await File.WriteAllTextAsync(certificate, made.ExportCertificatePem(), TestContext.Current.CancellationToken);
            await File.WriteAllTextAsync(key, secret.ExportPkcs8PrivateKeyPem(), TestContext.Current.CancellationToken);
        }

        return await GatewayEnvironment.StartAsync(new Dictionary<string, string?>
        {
            ["ASPNETCORE_URLS"] = "https://127.0.0.1:0",
            ["DVARA_TLS_CERT"] = certificate,
            ["DVARA_TLS_KEY"] = key,
        });
    }

    private static void ExpectOurs(string answer)
    {
        Assert.StartsWith("400 Bad Request\r\n", answer, StringComparison.Ordinal);
        var error = JsonNode.Parse(answer[answer.IndexOf('{', StringComparison.Ordinal)..])!["error"]!;
        Assert.Equal("invalid_request", (string?)error["code"]);
        Assert.Contains($"\r\nx-request-id: {error["request_id"]}\r\n", answer, StringComparison.Ordinal);
    }
}

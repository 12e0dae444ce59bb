using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Hosting;

/// <summary>What Kestrel refuses before there is a request; the table of such requests is in <c>Gateway/BadInputTests</c>.</summary>
public sealed class BadRequestTests
{
    private const string Malformed = "GET /healthz\r\n\r\n";

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
        var folder = Directory.CreateTempSubdirectory("dvara-tls-").FullName;
        var (certificate, key) = (Path.Combine(folder, "certificate.pem"), Path.Combine(folder, "key.pem"));
        try
        {
            using (var secret = ECDsa.Create(ECCurve.NamedCurves.nistP256))
            {
                var request = new CertificateRequest("CN=localhost", secret, HashAlgorithmName.SHA256);
                using var made = request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(1));
                await File.WriteAllTextAsync(certificate, made.ExportCertificatePem(), TestContext.Current.CancellationToken);
                await File.WriteAllTextAsync(key, secret.ExportPkcs8PrivateKeyPem(), TestContext.Current.CancellationToken);
            }

            await using (var node = await GatewayEnvironment.StartAsync(new Dictionary<string, string?>
            {
                ["ASPNETCORE_URLS"] = "https://127.0.0.1:0",
                ["DVARA_TLS_CERT"] = certificate,
                ["DVARA_TLS_KEY"] = key,
            }))
            {
                var (good, _) = await RawHttp.SendAsync(
                    node.BaseAddress, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", TestContext.Current.CancellationToken);
                var (_, text) = await RawHttp.SendAsync(node.BaseAddress, Malformed, TestContext.Current.CancellationToken);

                Assert.Equal(200, good);
                ExpectOurs(text.Replace("HTTP/1.1 ", "", StringComparison.Ordinal));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void ExpectOurs(string answer)
    {
        Assert.StartsWith("400 Bad Request\r\n", answer, StringComparison.Ordinal);
        var error = JsonNode.Parse(answer[answer.IndexOf('{', StringComparison.Ordinal)..])!["error"]!;
        Assert.Equal("invalid_request", (string?)error["code"]);
        Assert.Contains($"\r\nx-request-id: {error["request_id"]}\r\n", answer, StringComparison.Ordinal);
    }
}

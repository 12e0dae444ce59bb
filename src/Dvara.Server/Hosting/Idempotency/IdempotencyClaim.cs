using System.Security.Cryptography;
using System.Text;

namespace Dvara.Server.Hosting.Idempotency;

/// <summary>One call's hold on an <c>Idempotency-Key</c>; a feature of its request while it runs.</summary>
/// <param name="Actor">The admin token's id: keys of two tokens never meet.</param>
/// <param name="Key">As the caller wrote it, 1 to 255 visible ASCII characters.</param>
/// <param name="Fingerprint">SHA-256 over method, target and body: the same key with another call is refused.</param>
internal sealed record IdempotencyClaim(string Actor, string Key, byte[] Fingerprint)
{
    public static byte[] FingerprintOf(HttpRequest request, ReadOnlySpan<byte> body)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(Encoding.UTF8.GetBytes($"{request.Method} {request.PathBase}{request.Path}{request.QueryString}\n"));
        hash.AppendData(body);
        return hash.GetHashAndReset();
    }
}

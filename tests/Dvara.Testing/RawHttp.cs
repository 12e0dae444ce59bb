using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Dvara.Testing;

/// <summary>Sends bytes that no well-behaved client would send, and reads the answer's head and body.</summary>
public static class RawHttp
{
    /// <param name="address">The server; over TLS any certificate will do.</param>
    /// <param name="bytes">The whole request as it goes over the wire (Latin-1); it says <c>Connection: close</c>, or breaks a rule that makes the server close.</param>
    /// <param name="cancellationToken">Bounds the wait for the server to close.</param>
    /// <returns>Status (0: the server closed without an answer) and the text of the answer.</returns>
    public static async Task<(int Status, string Text)> SendAsync(Uri address, string bytes, CancellationToken cancellationToken)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(address.Host, address.Port, cancellationToken);
        await using Stream stream = address.Scheme == "https" ? new SslStream(client.GetStream(), false, (_, certificate, _, _) => certificate is not null) : client.GetStream();
        if (stream is SslStream tls)
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = address.Host }, cancellationToken);
        }

        await stream.WriteAsync(Encoding.Latin1.GetBytes(bytes), cancellationToken);
        using var answer = new MemoryStream();
        try
        {
            await stream.CopyToAsync(answer, cancellationToken);
        }
        catch (IOException)
        {
            // A reset after the answer is an answer; before it, the status says 0.
        }

        var text = Encoding.UTF8.GetString(answer.ToArray());
        return (text.StartsWith("HTTP/1.1 ", StringComparison.Ordinal) ? int.Parse(text.AsSpan(9, 3), System.Globalization.CultureInfo.InvariantCulture) : 0, text);
    }
}

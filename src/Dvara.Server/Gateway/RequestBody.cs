using System.Buffers;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Gateway;

/// <summary>Reads a request body into one array, bounded.</summary>
/// <remarks>The array is not pooled: a call that timed out may still be sending it while the next request runs.</remarks>
internal static class RequestBody
{
    private const int FirstGuess = 4096;

    public static async ValueTask<(ReadOnlyMemory<byte> Body, ApiError? Error)> ReadAsync(HttpRequest request, int limitBytes, CancellationToken cancellationToken)
    {
        if (!IsPlainJson(request))
        {
            return (default, GatewayErrors.UnsupportedMedia);
        }

        // Before the first read, so that no "100 Continue" invites what will be refused.
        if (request.ContentLength > limitBytes)
        {
            return (default, GatewayErrors.TooLarge(limitBytes));
        }

        try
        {
            return await ReadToEndAsync(request, limitBytes, cancellationToken);
        }
        catch (BadHttpRequestException exception)
        {
            // It broke the rules of HTTP, or came too slowly; the caller is known, so the refusal is one like any other.
            return (default, ErrorAnswers.Of(exception.StatusCode));
        }
    }

    private static async ValueTask<(ReadOnlyMemory<byte> Body, ApiError? Error)> ReadToEndAsync(
        HttpRequest request, int limitBytes, CancellationToken cancellationToken)
    {
        var body = GC.AllocateUninitializedArray<byte>((int)(request.ContentLength ?? FirstGuess));
        var length = 0;
        while (true)
        {
            var read = await request.BodyReader.ReadAsync(cancellationToken);
            var chunk = read.Buffer;
            if (length + chunk.Length > limitBytes)
            {
                request.BodyReader.AdvanceTo(chunk.End);
                return (default, GatewayErrors.TooLarge(limitBytes));
            }

            var needed = length + (int)chunk.Length;
            if (needed > body.Length)
            {
                Array.Resize(ref body, Math.Min(Math.Max(needed, body.Length * 2), limitBytes));
            }

            chunk.CopyTo(body.AsSpan(length));
            length = needed;
            request.BodyReader.AdvanceTo(chunk.End);
            if (read.IsCompleted)
            {
                return (body.AsMemory(0, length), null);
            }
        }
    }

    private static bool IsPlainJson(HttpRequest request)
    {
        if (request.Headers.ContentEncoding.Count > 0 && request.Headers.ContentEncoding != "identity")
        {
            return false;
        }

        var type = request.ContentType.AsSpan();
        var semicolon = type.IndexOf(';');
        var media = (semicolon < 0 ? type : type[..semicolon]).Trim();
        if (!media.Equals("application/json", StringComparison.OrdinalIgnoreCase))
        {
            return false;
        }

        var parameters = semicolon < 0 ? [] : type[semicolon..];
        return parameters.IndexOf("charset", StringComparison.OrdinalIgnoreCase) < 0
            || parameters.IndexOf("utf-8", StringComparison.OrdinalIgnoreCase) >= 0;
    }
}

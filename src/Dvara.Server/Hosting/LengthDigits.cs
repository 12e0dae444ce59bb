using System.Text;
using Microsoft.Net.Http.Headers;

namespace Dvara.Server.Hosting;

/// <summary>
/// Makes Kestrel refuse a Content-Length that is not digits alone (RFC 9110, section 8.6). It would read <c>+5</c> as 5, where a proxy
/// in front may see no length, and so another end of the request.
/// </summary>
internal sealed class LengthDigits : ASCIIEncoding
{
    private const int DigitsMax = 19;

    private static readonly LengthDigits Instance = new();

    private LengthDigits()
    {
    }

    /// <summary>How to read the value of a header; null: as usual.</summary>
    public static Encoding? OfHeader(string name) => name == HeaderNames.ContentLength ? Instance : null;

    public override int GetChars(ReadOnlySpan<byte> bytes, Span<char> chars)
    {
        if (bytes.Length <= DigitsMax && !bytes.ContainsAnyExceptInRange((byte)'0', (byte)'9'))
        {
            return base.GetChars(bytes, chars);
        }

        // No number, so that reading it fails as it does for other nonsense.
        chars[0] = '?';
        return 1;
    }
}

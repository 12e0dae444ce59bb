using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Dvara.Server.Hosting.AdminApi;

/// <summary>One page of a list, newest first.</summary>
internal sealed record Page<T>(IReadOnlyList<T> Items, string? NextCursor);

/// <summary>
/// Opaque positions in lists, signed with the master key over the list they belong to (route, filters, tenant), so that a cursor
/// of another query or tenant, or an edited one, is refused.
/// </summary>
internal sealed class CursorCodec(MasterKey masterKey)
{
    private const int SignatureBytes = 16;

    /// <param name="scope">What the cursor belongs to: the path and every filter.</param>
    /// <param name="position">Where the page ended, in the store's own terms.</param>
    public string Encode(string scope, string position) =>
        Base64Url.EncodeToString([.. Sign(scope, position), .. Encoding.UTF8.GetBytes(position)]);

    /// <returns>The position, or null for a cursor that is not ours or not of this list.</returns>
    public string? Decode(string scope, string cursor)
    {
        if (cursor.Length > 1024 || !Base64Url.IsValid(cursor))
        {
            return null;
        }

        var bytes = Base64Url.DecodeFromChars(cursor);
        if (bytes.Length <= SignatureBytes)
        {
            return null;
        }

        var position = Encoding.UTF8.GetString(bytes.AsSpan(SignatureBytes));
        return CryptographicOperations.FixedTimeEquals(bytes.AsSpan(0, SignatureBytes), Sign(scope, position)) ? position : null;
    }

    private byte[] Sign(string scope, string position) =>
        HMACSHA256.HashData(masterKey.Derive("cursor"), Encoding.UTF8.GetBytes($"{scope}\n{position}"))[..SignatureBytes];
}

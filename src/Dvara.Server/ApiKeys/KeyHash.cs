using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Dvara.Server.ApiKeys;

/// <summary>
/// SHA-256 of a key: what is stored and looked up in place of the key. No slow hash is needed for random bits that nobody can guess, and
/// the timing of a look-up by hash tells nothing of a stored key: who can steer the hash's bytes has broken SHA-256.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct KeyHash
{
    public const int Bytes = 32;

    private readonly ulong _a;
    private readonly ulong _b;
    private readonly ulong _c;
    private readonly ulong _d;

    /// <summary>Hashes a key without allocating.</summary>
    /// <param name="key">At most <see cref="ApiKeyFormat.CharactersMax"/> characters.</param>
    public static KeyHash Of(ReadOnlySpan<char> key)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(key.Length, ApiKeyFormat.CharactersMax);
        Span<byte> text = stackalloc byte[ApiKeyFormat.CharactersMax];
        Span<byte> hash = stackalloc byte[Bytes];
        SHA256.HashData(text[..Encoding.ASCII.GetBytes(key, text)], hash);
        return MemoryMarshal.Read<KeyHash>(hash);
    }

    /// <param name="text">64 hexadecimal digits; anything else is false.</param>
    /// <param name="hash">What they spell.</param>
    public static bool TryParse(ReadOnlySpan<char> text, out KeyHash hash)
    {
        hash = default;
        Span<byte> bytes = stackalloc byte[Bytes];
        if (text.Length != 2 * Bytes || Convert.FromHexString(text, bytes, out _, out _) != System.Buffers.OperationStatus.Done)
        {
            return false;
        }

        hash = MemoryMarshal.Read<KeyHash>(bytes);
        return true;
    }

    public byte[] ToArray() => MemoryMarshal.AsBytes(new ReadOnlySpan<KeyHash>(in this)).ToArray();

    // A hash of a hash gains nothing: any 32 of its bits are as good as others.
    public override int GetHashCode() => (int)_a;

    /// <summary>64 lower-case hexadecimal digits: the grain's key.</summary>
    public override string ToString() => Convert.ToHexStringLower(MemoryMarshal.AsBytes(new ReadOnlySpan<KeyHash>(in this)));
}

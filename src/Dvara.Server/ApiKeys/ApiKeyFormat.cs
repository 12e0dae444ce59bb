using System.Buffers;
using System.IO.Hashing;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace Dvara.Server.ApiKeys;

/// <summary>
/// <c>gw_</c> + base62 of 256 random bits (43 characters) + base62 of the CRC-32 of everything before it (6 characters); imported keys
/// are <c>gw_</c> + 40 lower-case hex. A key that fails this reaches neither grain nor database.
/// </summary>
/// <remarks>
/// The checksum keeps no attacker out, who can compute it too: it answers typing errors and cut keys without a look-up, and lets scanners
/// tell a leaked key from a chance match. CRC-32 sees every error burst of up to 32 bits, so every change of one character.
/// </remarks>
internal static class ApiKeyFormat
{
    public const string Prefix = "gw_";

    /// <summary>What is displayed of a key: <c>gw_</c> and 8 characters, 48 of its 256 random bits.</summary>
    public const int DisplayedCharacters = 11;

    /// <summary>No well-formed key is longer.</summary>
    public const int CharactersMax = OwnBodyCharacters + ChecksumCharacters;

    private const string Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private const int RandomBytes = 32;
    private const int RandomCharacters = 43;
    private const int ChecksumCharacters = 6;
    private const int OwnBodyCharacters = 3 + RandomCharacters;
    private const int ImportedCharacters = 3 + 40;

    private static readonly SearchValues<char> AnyDigit = SearchValues.Create(Digits);

    private static readonly SearchValues<char> AnyHex = SearchValues.Create("0123456789abcdef");

    public static bool IsWellFormed(ReadOnlySpan<char> key) =>
        key.StartsWith(Prefix, StringComparison.Ordinal) && key.Length switch
        {
            CharactersMax => IsOwn(key),
            ImportedCharacters => !key[Prefix.Length..].ContainsAnyExcept(AnyHex),
            _ => false,
        };

    /// <summary>True for what can be displayed of a key of either form.</summary>
    public static bool IsDisplayed(ReadOnlySpan<char> prefix) =>
        prefix.Length == DisplayedCharacters
        && prefix.StartsWith(Prefix, StringComparison.Ordinal)
        && !prefix[Prefix.Length..].ContainsAnyExcept(AnyDigit);

    /// <summary>A new key. Whoever gets it must show it once and forget it.</summary>
    public static string Make()
    {
        Span<byte> random = stackalloc byte[RandomBytes];
        RandomNumberGenerator.Fill(random);
        Span<char> key = stackalloc char[CharactersMax];
        Prefix.CopyTo(key);
        Write(new BigInteger(random, isUnsigned: true), key[Prefix.Length..OwnBodyCharacters]);
        Write(Checksum(key[..OwnBodyCharacters]), key[OwnBodyCharacters..]);
        return key.ToString();
    }

    public static string Displayed(string key) => key[..DisplayedCharacters];

    private static bool IsOwn(ReadOnlySpan<char> key)
    {
        if (key[Prefix.Length..].ContainsAnyExcept(AnyDigit))
        {
            return false;
        }

        // Compared as text: one checksum has one spelling.
        Span<char> checksum = stackalloc char[ChecksumCharacters];
        Write(Checksum(key[..OwnBodyCharacters]), checksum);
        return key[OwnBodyCharacters..].SequenceEqual(checksum);
    }

    private static uint Checksum(ReadOnlySpan<char> body)
    {
        Span<byte> bytes = stackalloc byte[OwnBodyCharacters];
        Encoding.ASCII.GetBytes(body, bytes);
        return Crc32.HashToUInt32(bytes);
    }

    private static void Write(uint value, Span<char> digits)
    {
        for (var i = digits.Length - 1; i >= 0; i--)
        {
            (value, var digit) = Math.DivRem(value, (uint)Digits.Length);
            digits[i] = Digits[(int)digit];
        }
    }

    private static void Write(BigInteger value, Span<char> digits)
    {
        for (var i = digits.Length - 1; i >= 0; i--)
        {
            (value, var digit) = BigInteger.DivRem(value, Digits.Length);
            digits[i] = Digits[(int)digit];
        }
    }
}

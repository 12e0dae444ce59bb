using System.Globalization;

namespace Dvara.Providers.Requests;

/// <summary>What the escapes of a JSON string hide.</summary>
internal static class JsonText
{
    /// <summary>
    /// The length of an escaped string in UTF-8 once its escapes are resolved. Null, with the reason, where it has no such form
    /// (half of a surrogate pair) or holds U+0000, which databases refuse.
    /// </summary>
    public static int? DecodedLength(ReadOnlySpan<byte> escaped, out string? reason)
    {
        reason = null;
        var length = escaped.Length;
        for (var i = escaped.IndexOf((byte)'\\'); i >= 0; i = Next(escaped, i))
        {
            if (escaped[i + 1] != 'u')
            {
                length--;
                i += 2;
                continue;
            }

            var unit = Unit(escaped[(i + 2)..]);
            i += 6;
            switch (unit)
            {
                case 0:
                    reason = "A string holds U+0000.";
                    return null;
                case < 0x80:
                    length -= 5;
                    break;
                case < 0x800:
                    length -= 4;
                    break;
                case >= 0xD800 and < 0xE000:
                    if (unit >= 0xDC00 || !IsLow(escaped[i..]))
                    {
                        reason = "A string holds half of a surrogate pair.";
                        return null;
                    }

                    length -= 8;
                    i += 6;
                    break;
                default:
                    length -= 3;
                    break;
            }
        }

        return length;
    }

    private static int Next(ReadOnlySpan<byte> escaped, int from)
    {
        var next = escaped[from..].IndexOf((byte)'\\');
        return next < 0 ? -1 : from + next;
    }

    private static bool IsLow(ReadOnlySpan<byte> rest) =>
        rest.Length >= 6 && rest[0] == '\\' && rest[1] == 'u' && Unit(rest[2..]) is >= 0xDC00 and < 0xE000;

    private static int Unit(ReadOnlySpan<byte> hex) => int.Parse(hex[..4], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}

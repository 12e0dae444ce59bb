using System.Buffers;
using Dvara.Providers.EventStream;

namespace Dvara.Providers.OpenAI;

/// <summary>
/// Follows a JSON object of any size through chunks cut at any byte, and keeps only its small members that tell about the answer:
/// a few hundred bytes out of megabytes of vectors or sound. It does not judge the JSON; whoever reads what was kept does.
/// </summary>
internal sealed class WholeAnswerScan : IDisposable
{
    /// <summary>Bytes of all that is kept.</summary>
    private const int KeptMax = 64 * 1024;

    private static readonly SearchValues<byte> Marks = SearchValues.Create("\"{}[],"u8);

    private readonly PooledBuffer _kept = new();
    private readonly PooledBuffer _member = new();
    private Place _place;
    private int _depth;
    private bool _inString;
    private bool _escaped;
    private bool _keeping;

    private enum Place
    {
        Outside,
        BeforeName,
        InName,
        InValue,
    }

    /// <summary>True once the outermost value has been closed.</summary>
    public bool Closed { get; private set; }

    /// <summary>The members that were kept, as an object of their own.</summary>
    public byte[] Kept => [(byte)'{', .. _kept.Written, (byte)'}'];

    public void Feed(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty && !Closed)
        {
            bytes = bytes[(_inString ? ReadString(bytes) : ReadBetween(bytes))..];
        }
    }

    public void Dispose()
    {
        _kept.Dispose();
        _member.Dispose();
    }

    /// <summary>Number of bytes up to and with the end of the string, or the backslash of its next escape.</summary>
    private int ReadString(ReadOnlySpan<byte> bytes)
    {
        var mark = _escaped ? 0 : bytes.IndexOfAny((byte)'"', (byte)'\\');
        var taken = bytes[..(mark < 0 ? bytes.Length : mark + 1)];
        Keep(taken);
        if (mark < 0)
        {
            return taken.Length;
        }

        _inString = _escaped || bytes[mark] == (byte)'\\';
        _escaped = !_escaped && _inString;
        if (!_inString && _place == Place.InName)
        {
            _place = Place.InValue;
            _keeping = _keeping && IsWanted(_member.Written);
        }

        return taken.Length;
    }

    /// <summary>Number of bytes up to and with the next one that means something between strings.</summary>
    private int ReadBetween(ReadOnlySpan<byte> bytes)
    {
        var at = bytes.IndexOfAny(Marks);
        Keep(at < 0 ? bytes : bytes[..at]);
        if (at < 0)
        {
            return bytes.Length;
        }

        var mark = bytes[at];
        if (_depth == 1 && (mark is (byte)',' or (byte)'}' or (byte)']'))
        {
            EndMember();
        }

        _inString = mark == (byte)'"';
        if (_inString && _place == Place.BeforeName)
        {
            _place = Place.InName;
            _keeping = true;
        }

        Keep([mark]);
        _depth += mark switch { (byte)'{' or (byte)'[' => 1, (byte)'}' or (byte)']' => -1, _ => 0 };
        _place = _depth == 1 && _place == Place.Outside && (mark is (byte)'{' or (byte)',') ? Place.BeforeName : _place;
        Closed = _depth == 0 && (mark is (byte)'}' or (byte)']');
        return at + 1;
    }

    private void EndMember()
    {
        if (_keeping && _place == Place.InValue)
        {
            _kept.Append(_kept.Length > 0 ? ","u8 : default);
            _kept.Append(_member.Written);
        }

        _member.Clear();
        _keeping = false;
        _place = Place.Outside;
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        if (!_keeping)
        {
            return;
        }

        _keeping = _kept.Length + _member.Length + bytes.Length < KeptMax;
        if (_keeping)
        {
            _member.Append(bytes);
        }
    }

    private static bool IsWanted(ReadOnlySpan<byte> name) =>
        name.SequenceEqual("\"usage\""u8) || name.SequenceEqual("\"id\""u8) || name.SequenceEqual("\"model\""u8)
        || name.SequenceEqual("\"error\""u8) || name.SequenceEqual("\"x_groq\""u8);
}

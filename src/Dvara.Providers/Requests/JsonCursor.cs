using System.Buffers;
using System.Text.Json;

namespace Dvara.Providers.Requests;

/// <summary>
/// Walks a JSON body once, token by token, under rules stricter than the grammar: no name twice in an object at any depth, no half
/// surrogates, no U+0000, bounded depth. A rule that is broken, here or by whoever reads with it, becomes <see cref="Problem"/>.
/// </summary>
/// <remarks>Throws <see cref="JsonException"/> for what is not JSON at all. The body must be valid UTF-8.</remarks>
internal ref struct JsonCursor
{
    public const int DepthMax = 64;

    private readonly ReadOnlySpan<byte> _body;
    private Utf8JsonReader _json;
    private MemberNames _names;

    public JsonCursor(ReadOnlySpan<byte> body)
    {
        _body = body;
        // One level more than allowed, so that the refusal is ours and says why.
        _json = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = DepthMax + 1 });
        _names = new MemberNames();
    }

    public RequestProblem? Problem { get; private set; }

    /// <summary>Length in UTF-8, escapes resolved, of the string that the cursor is on.</summary>
    public int TextLength { get; private set; }

    public readonly JsonTokenType Token => _json.TokenType;

    public readonly bool Escaped => _json.ValueIsEscaped;

    public readonly ReadOnlySpan<byte> Raw => _json.ValueSpan;

    public readonly int Start => (int)_json.TokenStartIndex;

    public readonly int End => (int)_json.BytesConsumed;

    public readonly bool Is(ReadOnlySpan<byte> text) => _json.ValueTextEquals(text);

    public readonly string Text() => _json.GetString()!;

    /// <summary>Writes the string that the cursor is on, <see cref="TextLength"/> bytes, escapes resolved.</summary>
    public readonly void CopyText(Span<byte> utf8) => _json.CopyString(utf8);

    public readonly bool TryInt64(out long value)
    {
        value = 0;
        return _json.TokenType == JsonTokenType.Number && _json.TryGetInt64(out value);
    }

    /// <summary>Always false, so that a reader can end with it.</summary>
    public bool Refuse(string code, string? param, string message)
    {
        Problem = new RequestProblem(400, code, param, message);
        return false;
    }

    public bool Invalid(string? param, string message) => Refuse(ProblemCodes.ValidationError, param, message);

    /// <summary>Goes to the next token; false at the end of the body and when a rule is broken.</summary>
    public bool Next()
    {
        if (!_json.Read())
        {
            return false;
        }

        switch (_json.TokenType)
        {
            case JsonTokenType.StartObject or JsonTokenType.StartArray when _json.CurrentDepth >= DepthMax:
                return Refuse(ProblemCodes.InvalidJson, null, $"The body nests deeper than {DepthMax} levels.");
            case JsonTokenType.StartObject:
                _names.Open(_json.CurrentDepth);
                return true;
            case JsonTokenType.EndObject:
                _names.Close(_json.CurrentDepth);
                return true;
            case JsonTokenType.PropertyName:
                return CheckText() && CheckName();
            case JsonTokenType.String:
                return CheckText();
            default:
                return true;
        }
    }

    /// <summary>Goes to the end of the value that the cursor is on.</summary>
    public bool Skip()
    {
        if (_json.TokenType is not (JsonTokenType.StartObject or JsonTokenType.StartArray))
        {
            return true;
        }

        var depth = _json.CurrentDepth;
        do
        {
            if (!Next())
            {
                return false;
            }
        }
        while (_json.CurrentDepth > depth);
        return true;
    }

    /// <summary>Goes to the end of the value that the cursor is on, and gives its bytes.</summary>
    public bool Skip(out ReadOnlySpan<byte> value)
    {
        var start = Start;
        var whole = Skip();
        value = _body[start..End];
        return whole;
    }

    public void Dispose() => _names.Dispose();

    private bool CheckText()
    {
        if (!_json.ValueIsEscaped)
        {
            TextLength = _json.ValueSpan.Length;
            return true;
        }

        var length = JsonText.DecodedLength(_json.ValueSpan, out var reason);
        TextLength = length ?? 0;
        return length is not null || Refuse(ProblemCodes.InvalidJson, null, $"{reason} (byte {Start})");
    }

    private bool CheckName()
    {
        // The object that a name belongs to is one level up from it.
        var depth = _json.CurrentDepth - 1;
        if (_names.Full(depth))
        {
            return Invalid(null, $"An object has more than {MemberNames.MembersMax} members.");
        }

        if (!_json.ValueIsEscaped)
        {
            return _names.Add(depth, _json.ValueSpan) || Duplicate();
        }

        var buffer = ArrayPool<byte>.Shared.Rent(_json.ValueSpan.Length);
        var length = _json.CopyString(buffer);
        var added = _names.Add(depth, buffer.AsSpan(0, length));
        ArrayPool<byte>.Shared.Return(buffer);
        return added || Duplicate();
    }

    private bool Duplicate()
    {
        var name = _json.GetString()!;
        return Refuse(ProblemCodes.InvalidJson, Shown.Short(name), $"The body has the member '{Shown.Short(name)}' twice in one object.");
    }
}

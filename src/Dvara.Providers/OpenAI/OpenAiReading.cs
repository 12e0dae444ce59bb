using System.Text.Json;
using Dvara.Providers.Tokens;

namespace Dvara.Providers.OpenAI;

/// <summary>
/// Gathers the facts of one answer from its JSON: one object when it is whole, one per event when it is streamed. Of several usage
/// objects the last one counts: hosts that send more send running totals.
/// </summary>
internal sealed class OpenAiReading(Endpoint endpoint, string model) : IDisposable
{
    private const int NameBytesMax = 256;

    private static readonly JsonReaderOptions Lenient = new() { MaxDepth = 256 };

    private readonly DeliveredText _text = new(model);
    private UsageReading _usage;
    private string? _id;
    private string? _model;

    public bool HasError { get; private set; }

    /// <summary>True once an object had what this endpoint answers with.</summary>
    public bool HasResult { get; private set; }

    /// <summary>True once a choice had a reason to end.</summary>
    public bool HasFinished { get; private set; }

    public ChunkShape Read(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return ReadObject(bytes);
        }
        catch (Exception refused) when (refused is JsonException or InvalidOperationException)
        {
            // Not JSON, or a name in it is no text (half a surrogate pair). What was read before that stays read.
            return default;
        }
    }

    /// <summary>Notes an event too long to be read: its text can only be guessed.</summary>
    public void ReadFragment(int bytes) => _text.AppendUnread(bytes);

    public AnswerFacts Facts(bool estimate) => new()
    {
        Usage = _usage.Usage,
        UsageRefused = _usage.Refused,
        UsageClamped = _usage.Clamped,
        HasError = HasError,
        Id = _id,
        Model = _model,
        EstimatedOutputTokens = estimate && _usage.Usage is null && endpoint != Endpoint.Embeddings ? _text.CountTokens() : 0,
    };

    public void Dispose() => _text.Dispose();

    private ChunkShape ReadObject(ReadOnlySpan<byte> bytes)
    {
        var json = new Utf8JsonReader(bytes, Lenient);
        if (!json.Read() || json.TokenType != JsonTokenType.StartObject)
        {
            return default;
        }

        var found = Found.Nothing;
        var previousEnd = -1;
        var openCut = -1;
        (int Start, int End) nullUsage = default;
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var start = (int)json.TokenStartIndex;
            nullUsage = openCut >= 0 ? (openCut, start) : nullUsage;
            openCut = -1;
            var member = ReadMember(ref json);
            found |= member;

            // The comma before goes with a member, but for the first, whose cut ends where the next one begins.
            var end = (int)json.BytesConsumed;
            if (member == Found.NullUsage)
            {
                openCut = previousEnd < 0 ? start : -1;
                nullUsage = previousEnd < 0 ? default : (previousEnd, end);
            }

            previousEnd = end;
        }

        // Throws when anything but space follows the object.
        json.Read();
        return new ChunkShape
        {
            Readable = true,
            UsageOnly = (found & (Found.Usage | Found.Generated | Found.Error)) == Found.Usage,
            NullUsage = nullUsage,
        };
    }

    private Found ReadMember(ref Utf8JsonReader json)
    {
        if (json.ValueTextEquals("usage"u8))
        {
            json.Read();
            return ReadUsage(ref json);
        }

        if (json.ValueTextEquals("choices"u8))
        {
            return ReadChoices(ref json) ? Found.Generated : Found.Nothing;
        }

        if (json.ValueTextEquals("id"u8))
        {
            _id = Name(ref json, _id);
        }
        else if (json.ValueTextEquals("model"u8))
        {
            _model = Name(ref json, _model);
        }
        else if (json.ValueTextEquals("error"u8))
        {
            return ReadError(ref json);
        }
        else if (json.ValueTextEquals("x_groq"u8))
        {
            ReadGroq(ref json);
        }
        else
        {
            var vectors = endpoint == Endpoint.Embeddings && json.ValueTextEquals("data"u8);
            json.Read();
            HasResult |= vectors && json.TokenType == JsonTokenType.StartArray;
            json.Skip();
        }

        return Found.Nothing;
    }

    private Found ReadUsage(ref Utf8JsonReader json)
    {
        if (json.TokenType == JsonTokenType.Null)
        {
            return Found.NullUsage;
        }

        // An empty object says nothing, so it takes nothing back.
        var usage = OpenAiUsage.Read(ref json, endpoint);
        _usage = usage == default ? _usage : usage;
        return Found.Usage;
    }

    private Found ReadError(ref Utf8JsonReader json)
    {
        json.Read();
        var error = json.TokenType != JsonTokenType.Null;
        HasError |= error;
        json.Skip();
        return error ? Found.Error : Found.Nothing;
    }

    private void ReadGroq(ref Utf8JsonReader json)
    {
        json.Read();
        if (json.TokenType != JsonTokenType.StartObject)
        {
            json.Skip();
            return;
        }

        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            var usage = json.ValueTextEquals("usage"u8);
            json.Read();
            if (usage)
            {
                ReadUsage(ref json);
            }
            else
            {
                json.Skip();
            }
        }
    }

    /// <summary>True when there is at least one choice.</summary>
    private bool ReadChoices(ref Utf8JsonReader json)
    {
        json.Read();
        if (json.TokenType != JsonTokenType.StartArray)
        {
            json.Skip();
            return false;
        }

        HasResult |= endpoint != Endpoint.Embeddings;
        var any = false;
        var depth = json.CurrentDepth;
        while (json.Read() && json.CurrentDepth > depth)
        {
            any = true;
            if (json.TokenType != JsonTokenType.PropertyName)
            {
                continue;
            }

            // A member of the choice itself, not of what was generated. Some hosts send an empty reason until there is one.
            if (json.CurrentDepth == depth + 2 && json.ValueTextEquals("finish_reason"u8))
            {
                json.Read();
                HasFinished |= json.TokenType == JsonTokenType.String && !json.ValueSpan.IsEmpty;
            }
            else
            {
                ReadGenerated(ref json);
            }
        }

        return any;
    }

    private void ReadGenerated(ref Utf8JsonReader json)
    {
        // reasoning_details says again what reasoning says; logprobs says again what content says.
        if (json.ValueTextEquals("logprobs"u8) || json.ValueTextEquals("reasoning_details"u8))
        {
            json.Skip();
            return;
        }

        if (IsGeneratedText(json))
        {
            json.Read();
            if (json.TokenType == JsonTokenType.String)
            {
                _text.Append(json);
            }
        }
    }

    private static bool IsGeneratedText(scoped in Utf8JsonReader json) =>
        json.ValueTextEquals("content"u8)
        || json.ValueTextEquals("text"u8)
        || json.ValueTextEquals("arguments"u8)
        || json.ValueTextEquals("name"u8)
        || json.ValueTextEquals("reasoning_content"u8)
        || json.ValueTextEquals("reasoning"u8)
        || json.ValueTextEquals("refusal"u8)
        || json.ValueTextEquals("transcript"u8);

    /// <summary>The first name that an answer gives itself; what cannot be one is passed over.</summary>
    private static string? Name(ref Utf8JsonReader json, string? known)
    {
        json.Read();
        if (known is not null || json.TokenType != JsonTokenType.String || json.ValueSpan.Length is 0 or > NameBytesMax)
        {
            json.Skip();
            return known;
        }

        try
        {
            return json.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    [Flags]
    private enum Found
    {
        Nothing = 0,
        Usage = 1,
        NullUsage = 2,
        Generated = 4,
        Error = 8,
    }
}

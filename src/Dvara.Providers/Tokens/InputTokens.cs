using System.Buffers;
using Dvara.Providers.Requests;
using Microsoft.ML.Tokenizers;

namespace Dvara.Providers.Tokens;

/// <summary>Counts the input as OpenAI's published recipe does; exact for plain chats with its models, close for the rest.</summary>
internal struct InputTokens(Tokenizer tokenizer, Endpoint endpoint) : IInputSink
{
    /// <summary>Start, role and end of a message.</summary>
    private const int MessageFrame = 4;

    /// <summary>The start of the reply.</summary>
    private const int ReplyFrame = 3;

    /// <summary>A picture of ordinary size at high detail.</summary>
    private const int MediaPart = 765;

    private readonly bool _chat = endpoint == Endpoint.ChatCompletions;
    private TokenTally _tally = new(tokenizer);
    private long _others;
    private bool _any;

    public readonly long Count => _tally.Count + _others + (_chat && _any ? ReplyFrame : 0);

    public void Item()
    {
        _any = true;
        _others += _chat ? MessageFrame : 0;
    }

    public void Text(scoped in JsonCursor json)
    {
        if (!json.Escaped)
        {
            _tally.Add(json.Raw);
            return;
        }

        // Copying wants room for the raw length, whatever it then uses of it.
        var text = ArrayPool<byte>.Shared.Rent(json.Raw.Length);
        json.CopyText(text);
        _tally.Add(text.AsSpan(0, json.TextLength));
        ArrayPool<byte>.Shared.Return(text);
    }

    public void Json(ReadOnlySpan<byte> json) => _tally.Add(json);

    public void Media() => _others += MediaPart;

    public void TokenId() => _others++;
}

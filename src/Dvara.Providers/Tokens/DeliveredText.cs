using System.Text.Json;
using Dvara.Providers.EventStream;

namespace Dvara.Providers.Tokens;

/// <summary>
/// The text that an answer delivered, kept only to be counted when the provider reports no usage. Memory is bounded: what has piled up
/// is counted and forgotten.
/// </summary>
internal sealed class DeliveredText(string model) : IDisposable
{
    /// <summary>Bytes. Few answers ever reach it, so that counting is rare.</summary>
    private const int KeptMax = 32 * 1024;

    /// <summary>Bytes per token of what could not be read.</summary>
    private const int UnreadBytesPerToken = 4;

    private readonly PooledBuffer _text = new();
    private TokenTally? _tally;
    private long _unread;

    /// <summary>Appends the string that the reader is on.</summary>
    public void Append(scoped in Utf8JsonReader json)
    {
        if (!json.ValueIsEscaped)
        {
            _text.Append(json.ValueSpan);
        }
        else
        {
            AppendEscaped(json);
        }

        if (_text.Length > KeptMax)
        {
            Fold();
        }
    }

    /// <summary>Notes text that was delivered and could not be read.</summary>
    public void AppendUnread(long bytes) => _unread += bytes;

    public long CountTokens()
    {
        var tally = _tally ?? new TokenTally(Vocabulary.ForModel(model));
        tally.Add(_text.Written);
        return tally.Count + (_unread / UnreadBytesPerToken);
    }

    public void Dispose() => _text.Dispose();

    private void AppendEscaped(scoped in Utf8JsonReader json)
    {
        try
        {
            _text.Advance(json.CopyString(_text.Reserve(json.ValueSpan.Length)));
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair: some hosts cut one in two. Its escapes are about as many tokens.
            _text.Append(json.ValueSpan);
        }
    }

    private void Fold()
    {
        // A token begins at a space, so what stands before the last one is counted as it would be in the whole.
        var space = _text.Written.LastIndexOf((byte)' ');
        var counted = space > 0 ? space : _text.Length;
        var tally = _tally ?? new TokenTally(Vocabulary.ForModel(model));
        tally.Add(_text.Written[..counted]);
        _tally = tally;
        _text.Consume(counted);
    }
}

using System.Text.Json;
using Dvara.Providers.Requests;
using Dvara.Providers.Tokens;

namespace Dvara.Providers;

/// <summary>Counts tokens where no provider did. An estimate for every model that is not OpenAI's.</summary>
public static class TokenCounter
{
    /// <summary>Input tokens of a request body that <see cref="RequestReader"/> accepted, before or after it was rewritten.</summary>
    public static long CountInput(string model, Endpoint endpoint, ReadOnlySpan<byte> body)
    {
        var sink = new InputTokens(Vocabulary.ForModel(model), endpoint);
        var json = new JsonCursor(body);
        var read = json.Next();
        while (read && json.Next() && json.Token == JsonTokenType.PropertyName)
        {
            var member = InputScan.MemberAt(json, endpoint);
            read = json.Next() && (member == InputMember.None ? json.Skip() : InputScan.Read(ref json, member, ref sink));
        }

        json.Dispose();
        return sink.Count;
    }

    /// <summary>Tokens of a text in UTF-8.</summary>
    public static long CountText(string model, ReadOnlySpan<byte> utf8)
    {
        var tally = new TokenTally(Vocabulary.ForModel(model));
        tally.Add(utf8);
        return tally.Count;
    }

    /// <summary>Loads what the first count would load (about 0.2 s and 40 MB), so that no request waits for it.</summary>
    public static void Warm() => CountText("gpt-4o", "a"u8);
}

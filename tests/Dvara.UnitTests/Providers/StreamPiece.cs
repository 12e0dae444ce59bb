using CsCheck;

namespace Dvara.UnitTests.Providers;

/// <summary>A piece of a stream, and what of it a client sees that did not ask for usage.</summary>
/// <param name="Prompt">Prompt tokens where the piece reports usage.</param>
internal sealed record StreamPiece(string Sent, string Seen, long? Prompt = null)
{
    public static readonly StreamPiece Done = Visible("data: [DONE]\n\n");

    private static readonly Gen<string> Line = Gen.OneOf("\n", "\r\n", "\r");

    private static readonly Gen<string> Text = Gen.OneOf(
        "a", " word", "😀", "äöü", "日本", "\\n", "\\u00e9", "\\ud83d\\ude00", "\\\"", "\\\"usage\\\":null", "[DONE]", "data: ", "}");

    /// <summary>A content chunk, with or without <c>"usage":null</c> in one of its places.</summary>
    private static readonly Gen<StreamPiece> Content =
        from line in Line
        from field in Gen.OneOf("data: ", "data:", "id: 7\ndata: ", ": note\ndata: ", "event: message\ndata: ")
        from text in Text
        from place in Gen.Int[0, 3]
        let choices = $"\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]"
        let shown = place == 3 ? $"{{\"id\":\"c\",{choices}}}" : $"{{{choices},\"id\":\"c\"}}"
        let sent = place switch
        {
            0 => $"{{\"usage\":null, {choices},\"id\":\"c\"}}",
            1 => $"{{{choices} ,\"usage\" : null,\"id\":\"c\"}}",
            2 => $"{{{choices},\"id\":\"c\", \"usage\":null}}",
            _ => shown,
        }
        select new StreamPiece(Event(field, sent, line), Event(field, shown, line));

    private static readonly Gen<StreamPiece> UsageChunk =
        from line in Line
        from prompt in Gen.Long[0, 5_000]
        from field in Gen.OneOf("data: ", "data:", ": note\ndata: ")
        select new StreamPiece(
            Event(field, $"{{\"id\":\"c\",\"choices\":[],\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":7}}}}", line), "", prompt);

    /// <summary>Usage that stands with content, or in data of two lines: read, and left where it is.</summary>
    private static readonly Gen<StreamPiece> UsageWithContent =
        from line in Line
        from prompt in Gen.Long[0, 5_000]
        from gap in Gen.OneOf("", "\ndata: ")
        let data = $"{{\"choices\":[{{\"delta\":{{\"content\":\"x\"}}}}],{gap}\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":7}}}}"
        let text = Event("data: ", data, line)
        select new StreamPiece(text, text, prompt);

    private static readonly Gen<StreamPiece> Other =
        from line in Line
        from text in Gen.OneOf(": keep-alive", ":", "retry: 10", "data: not json", "data", "data: [1,2]", "data: {\"choices\":[", "dataset: x", "x")
        select Visible(text + line + line);

    public static readonly Gen<StreamPiece> Any = Gen.Frequency<StreamPiece>((5, Content), (2, UsageChunk), (1, UsageWithContent), (2, Other));

    private static StreamPiece Visible(string text) => new(text, text);

    private static string Event(string field, string data, string line) => (field + data + "\n\n").Replace("\n", line, StringComparison.Ordinal);
}

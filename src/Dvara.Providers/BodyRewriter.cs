using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Dvara.Providers;

/// <summary>Makes the upstream body out of the client's: the same memory, cut at the ranges of its plan. Nothing is copied.</summary>
public static class BodyRewriter
{
    private static readonly byte[] True = "true"u8.ToArray();
    private static readonly byte[] AskingObject = """{"include_usage":true}"""u8.ToArray();
    private static readonly byte[] AskingMember = "\"include_usage\":true"u8.ToArray();
    private static readonly byte[] AskingFirst = "\"include_usage\":true,"u8.ToArray();
    private static readonly byte[] StreamOptionsMember = "\"stream_options\":{\"include_usage\":true},"u8.ToArray();

    /// <summary>The pieces to send, in order; the body itself, as one piece, when nothing changes. Its length is the content length.</summary>
    public static ReadOnlySequence<byte> Rewrite(ReadOnlyMemory<byte> body, BodyPlan plan, in BodyChanges changes)
    {
        if (changes == default && plan.Cuts.Count == 0)
        {
            return new ReadOnlySequence<byte>(body);
        }

        var edits = new List<Edit>(plan.Cuts.Count + 3);
        foreach (var cut in plan.Cuts)
        {
            edits.Add(new Edit(cut, default));
        }

        if (changes.Model is not null)
        {
            edits.Add(new Edit(plan.Model, Quoted(changes.Model)));
        }

        if (changes.AskUsage)
        {
            edits.Add(Ask(body.Span, plan));
        }

        if (changes.OutputLimit is { } limit)
        {
            edits.Add(Limit(plan, limit, changes.OutputLimitAsMaxTokens));
        }

        edits.Sort(static (left, right) => left.Order.CompareTo(right.Order));
        return Apply(body, edits);
    }

    private static Edit Ask(ReadOnlySpan<byte> body, BodyPlan plan)
    {
        if (plan.IncludeUsage is { } value)
        {
            return new Edit(value, True);
        }

        if (plan.StreamOptions is not { } options)
        {
            // The model is always there, so a comma is always right.
            return Edit.Insert(plan.FirstMember, StreamOptionsMember);
        }

        var start = options.Start.Value;
        if (body[start] != (byte)'{')
        {
            return new Edit(options, AskingObject);
        }

        var empty = body[(start + 1)..].TrimStart(" \t\r\n"u8)[0] == (byte)'}';
        return Edit.Insert(start + 1, empty ? AskingMember : AskingFirst);
    }

    private static Edit Limit(BodyPlan plan, long limit, bool asMaxTokens)
    {
        var (name, present) = asMaxTokens ? ("max_tokens", plan.MaxTokens) : ("max_completion_tokens", plan.MaxCompletionTokens);
        return present is { } value
            ? new Edit(value, Encoding.ASCII.GetBytes($"{limit}"))
            : Edit.Insert(plan.FirstMember, Encoding.ASCII.GetBytes($"\"{name}\":{limit},"));
    }

    private static byte[] Quoted(string model)
    {
        var text = JsonEncodedText.Encode(model, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes;
        return [(byte)'"', .. text, (byte)'"'];
    }

    private static ReadOnlySequence<byte> Apply(ReadOnlyMemory<byte> body, List<Edit> edits)
    {
        var first = new Piece(default, 0);
        var last = first;
        var from = 0;
        foreach (var edit in edits)
        {
            last = last.Append(body[from..edit.Range.Start.Value]).Append(edit.Text);
            from = edit.Range.End.Value;
        }

        last = last.Append(body[from..]);
        return new ReadOnlySequence<byte>(first, 0, last, last.Memory.Length);
    }

    /// <summary>Replaces a range of the body; an empty range inserts, an empty text cuts.</summary>
    private readonly record struct Edit(Range Range, ReadOnlyMemory<byte> Text)
    {
        public static Edit Insert(int at, byte[] text) => new(at..at, text);

        /// <summary>By place; an insertion comes before a cut that begins where it is.</summary>
        public (int Start, int End) Order => (Range.Start.Value, Range.End.Value);
    }

    private sealed class Piece : ReadOnlySequenceSegment<byte>
    {
        public Piece(ReadOnlyMemory<byte> memory, long runningIndex)
        {
            Memory = memory;
            RunningIndex = runningIndex;
        }

        public Piece Append(ReadOnlyMemory<byte> memory)
        {
            if (memory.IsEmpty)
            {
                return this;
            }

            var next = new Piece(memory, RunningIndex + Memory.Length);
            Next = next;
            return next;
        }
    }
}

using System.Buffers;

namespace Dvara.Providers.OpenAI;

/// <summary>Reads a whole answer in OpenAI's wire format.</summary>
public static class OpenAiAnswer
{
    /// <summary>
    /// Never throws: an answer that cannot be read is <see cref="AnswerFacts.Malformed"/>. Without usage, the output is counted.
    /// </summary>
    /// <param name="model">Chooses the tokenizer of an estimate; empty: the newest.</param>
    public static AnswerFacts Read(in ReadOnlySequence<byte> answer, Endpoint endpoint, string model = "")
    {
        if (answer.IsSingleSegment)
        {
            return Read(answer.FirstSpan, endpoint, model);
        }

        var length = (int)answer.Length;
        var bytes = ArrayPool<byte>.Shared.Rent(length);
        answer.CopyTo(bytes);
        var facts = Read(bytes.AsSpan(0, length), endpoint, model);
        ArrayPool<byte>.Shared.Return(bytes);
        return facts;
    }

    /// <inheritdoc cref="Read(in ReadOnlySequence{byte}, Endpoint, string)"/>
    public static AnswerFacts Read(ReadOnlySpan<byte> answer, Endpoint endpoint, string model = "")
    {
        using var reading = new OpenAiReading(endpoint, model);
        var shape = reading.Read(answer.StartsWith("\uFEFF"u8) ? answer[3..] : answer);
        return reading.Facts(estimate: true) with { Malformed = !shape.Readable || !(reading.HasResult || reading.HasError) };
    }
}

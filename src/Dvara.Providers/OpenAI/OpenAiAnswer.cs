using System.Buffers;

namespace Dvara.Providers.OpenAI;

/// <summary>Reads a whole answer in OpenAI's wire format.</summary>
public static class OpenAiAnswer
{
    /// <summary>Never throws: an answer that cannot be read is <see cref="AnswerFacts.Malformed"/>.</summary>
    public static AnswerFacts Read(in ReadOnlySequence<byte> answer, Endpoint endpoint) => throw new NotImplementedException();

    /// <inheritdoc cref="Read(in ReadOnlySequence{byte}, Endpoint)"/>
    public static AnswerFacts Read(ReadOnlySpan<byte> answer, Endpoint endpoint) => throw new NotImplementedException();
}

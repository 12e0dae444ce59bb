using System.Buffers;
using Dvara.Providers.EventStream;

namespace Dvara.Providers.OpenAI;

/// <summary>Meters a stream in OpenAI's wire format.</summary>
/// <param name="model">Chooses the tokenizer of an estimate.</param>
/// <param name="hideUsage">True when only the gateway asked for usage: its chunk, and <c>"usage":null</c>, are kept from the client.</param>
public sealed class OpenAiStreamMeter(Endpoint endpoint, string model, bool hideUsage) : IStreamMeter
{
    public bool Terminated => throw new NotImplementedException();

    public bool Failed => throw new NotImplementedException();

    public ReadOnlyMemory<byte> Tail => throw new NotImplementedException();

    public void Feed(ReadOnlySpan<byte> upstream, IBufferWriter<byte> client) => throw new NotImplementedException($"{endpoint} {model} {hideUsage}");

    public void Complete() => throw new NotImplementedException();

    public AnswerFacts Facts(bool estimate) => throw new NotImplementedException();

    public void Dispose()
    {
    }
}

using System.Buffers;
using Dvara.Providers.EventStream;

namespace Dvara.Providers.OpenAI;

/// <summary>Meters a whole answer that is too large to be held: bytes pass as they come, but for the last one.</summary>
/// <remarks>Without usage its output is taken to be a token for every four bytes of it.</remarks>
/// <param name="model">The model that was asked for.</param>
public sealed class OpenAiWholeMeter(Endpoint endpoint, string model) : IStreamMeter
{
    private readonly OpenAiReading _reading = new(endpoint, model);
    private readonly WholeAnswerScan _scan = new();
    private readonly byte[] _last = new byte[1];
    private bool _any;

    public bool Terminated => _scan.Closed;

    public bool Finished => _scan.Closed;

    public bool Failed => _reading.HasError;

    public ReadOnlyMemory<byte> Tail => _last.AsMemory(0, _any ? 1 : 0);

    public void Feed(ReadOnlySpan<byte> upstream, IBufferWriter<byte> client)
    {
        if (upstream.IsEmpty)
        {
            return;
        }

        client.Write(Tail.Span);
        client.Write(upstream[..^1]);
        _last[0] = upstream[^1];
        _any = true;
        _scan.Feed(upstream);
        _reading.ReadFragment(upstream.Length);
    }

    public void Complete() => _reading.Read(_scan.Kept);

    public AnswerFacts Facts(bool estimate) => _reading.Facts(estimate);

    public void Dispose()
    {
        _reading.Dispose();
        _scan.Dispose();
    }
}

using System.Buffers;
using Dvara.Providers.EventStream;

namespace Dvara.Providers.OpenAI;

/// <summary>Meters a stream in OpenAI's wire format.</summary>
/// <param name="model">Chooses the tokenizer of an estimate.</param>
/// <param name="hideUsage">True when only the gateway asked for usage: its chunk, and <c>"usage":null</c>, are kept from the client.</param>
public sealed class OpenAiStreamMeter(Endpoint endpoint, string model, bool hideUsage) : IStreamMeter
{
    /// <summary>Bytes. One event may be owed at the end; what a provider sends behind the terminating one, no client reads.</summary>
    private const int TailMax = EventSplitter.EventMax + 2;

    private readonly OpenAiReading _reading = new(endpoint, model);
    private readonly EventSplitter _splitter = new();
    private readonly PooledBuffer _joined = new();
    private readonly PooledBuffer _tail = new();

    private static ReadOnlySpan<byte> EmptyLine => "\n\n"u8;

    public bool Terminated { get; private set; }

    public bool Finished => _reading.HasFinished;

    public bool Failed { get; private set; }

    public ReadOnlyMemory<byte> Tail => _tail.WrittenMemory;

    public void Feed(ReadOnlySpan<byte> upstream, IBufferWriter<byte> client)
    {
        while (_splitter.TryNext(ref upstream, out var piece, out var whole))
        {
            if (whole)
            {
                PassEvent(piece, client);
            }
            else if (!Terminated)
            {
                // Behind the terminating event nothing is passed on in fragments: what fits the tail would depend on how they were cut.
                _reading.ReadFragment(piece.Length);
                Pass(piece, client);
            }
        }
    }

    public void Complete()
    {
        var rest = _splitter.Rest;
        if (!rest.IsEmpty)
        {
            PassEvent(rest, client: null, broken: !_splitter.RestIsWhole);
        }
        else if (_splitter.InFragments && !Terminated)
        {
            // Whatever the gateway says next must not become part of the event that broke off.
            Pass(EmptyLine, client: null);
        }
    }

    public AnswerFacts Facts(bool estimate) => _reading.Facts(estimate);

    public void Dispose()
    {
        _reading.Dispose();
        _splitter.Dispose();
        _joined.Dispose();
        _tail.Dispose();
    }

    /// <param name="client">Null: into the tail.</param>
    /// <param name="broken">
    /// True for a last event without its blank line: it is given the line when its data is complete and dropped when it broke off, for
    /// half a JSON text would only hide the error that the client is owed.
    /// </param>
    private void PassEvent(ReadOnlySpan<byte> bytes, IBufferWriter<byte>? client, bool broken = false)
    {
        var fields = EventFields.Read(bytes, _joined);
        Failed |= fields.IsError;
        var done = IsDone(fields.Data);
        Terminated |= done;
        var shape = fields.HasData && !done ? _reading.Read(fields.Data) : default;
        Failed |= _reading.HasError;
        if ((broken && !done && !shape.Readable) || (hideUsage && shape.UsageOnly))
        {
            return;
        }

        PassWithoutNullUsage(bytes, fields.Offset, hideUsage ? shape.NullUsage : default, client);
        Pass(broken ? EmptyLine : default, client);
    }

    private void PassWithoutNullUsage(ReadOnlySpan<byte> bytes, int offset, (int Start, int End) nullUsage, IBufferWriter<byte>? client)
    {
        // Data of several lines stands elsewhere than it was read; nobody sends usage so, and a null does no harm.
        if (offset < 0 || nullUsage.End == 0)
        {
            Pass(bytes, client);
            return;
        }

        Pass(bytes[..(offset + nullUsage.Start)], client);
        Pass(bytes[(offset + nullUsage.End)..], client);
    }

    private void Pass(ReadOnlySpan<byte> bytes, IBufferWriter<byte>? client)
    {
        if (client is not null && !Terminated)
        {
            client.Write(bytes);
        }
        else if (_tail.Length + bytes.Length <= TailMax)
        {
            _tail.Append(bytes);
        }
    }

    private static bool IsDone(ReadOnlySpan<byte> data) => data.Trim((byte)' ').SequenceEqual("[DONE]"u8);
}

using System.Buffers;

namespace Dvara.Providers.EventStream;

/// <summary>
/// Stands between the provider's stream and the client: passes bytes on as they arrive, reads usage from a copy, hides what only the
/// gateway asked for, and holds the terminating event back until the charge is durable. Not thread-safe; memory bounded by one event.
/// Disposing gives its buffers back; nothing may be asked of it afterwards.
/// </summary>
public interface IStreamMeter : IDisposable
{
    /// <summary>Feeds bytes of the provider; writes what the client may have now.</summary>
    void Feed(ReadOnlySpan<byte> upstream, IBufferWriter<byte> client);

    /// <summary>
    /// Call once at the end of the provider's stream, whole or broken. Writes nothing; afterwards <see cref="Tail"/> holds what is
    /// still owed to the client.
    /// </summary>
    void Complete();

    /// <summary>True once the terminating event (<c>[DONE]</c>) has been read.</summary>
    bool Terminated { get; }

    /// <summary>
    /// True once the model has said why it stopped (<c>finish_reason</c>): an answer that ends properly behind it is whole, though hosts
    /// leave the terminating event out.
    /// </summary>
    bool Finished { get; }

    /// <summary>True when the provider sent an error object inside its 200 stream.</summary>
    bool Failed { get; }

    /// <summary>Held-back bytes: the terminating event and whatever follows it.</summary>
    ReadOnlyMemory<byte> Tail { get; }

    /// <summary>What is known so far; may be asked for at any time (checkpoints do).</summary>
    /// <param name="estimate">True: count the delivered text with the tokenizer when no usage was reported.</param>
    AnswerFacts Facts(bool estimate);
}

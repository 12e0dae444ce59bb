using Dvara.Domain;
using Dvara.Domain.Metering;

namespace Dvara.Server.Metering;

/// <summary>
/// This silo's durable memory of its attempts. Every method ends when what it wrote is on disk (group commit).
/// Fails closed: a journal that cannot write admits nothing.
/// </summary>
internal sealed class Journal
{
    /// <summary>False: new requests are refused with 503 <c>ledger_unavailable</c>; those in flight still settle.</summary>
    public bool Admits => throw new NotImplementedException();

    /// <summary>(4) The attempt is about to happen.</summary>
    /// <exception cref="JournalUnavailableException">It could not be noted; nothing may be dispatched.</exception>
    public Task NoteAsync(Intent intent, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>What an open stream has delivered so far; bounds what a crash leaves unknown. Not waited for by the stream.</summary>
    public Task CheckpointAsync(AttemptId attempt, TokenUsage soFar) => throw new NotImplementedException();

    /// <summary>(7) The attempt's end. Never cancelled: the money is spent.</summary>
    public Task SettleAsync(Charge charge) => throw new NotImplementedException();

    /// <summary>The charges of one request that may not have reached the ledger yet, newest attempts last.</summary>
    public IReadOnlyList<Charge> FindRecent(RequestId request) => throw new NotImplementedException();
}

/// <summary>The journal cannot take new work (full disk, failed write); transient unless the process stops.</summary>
internal sealed class JournalUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

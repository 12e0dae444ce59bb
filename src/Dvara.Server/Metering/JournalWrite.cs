using Dvara.Domain.Metering;

namespace Dvara.Server.Metering;

/// <summary>Something that waits to be written; its task ends when it is durable. The writer's thread alone calls its methods.</summary>
internal abstract class JournalWrite() : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
{
    /// <summary>True: a full disk delays it, nothing refuses it.</summary>
    public virtual bool MustSucceed => false;

    /// <summary>True: nobody wants it any more, and it has said so to whom it concerns.</summary>
    public virtual bool IsAbandoned() => false;

    /// <summary>Inside the group's transaction; called again when the group is.</summary>
    public abstract void Write(JournalStore store, long seq, DateTimeOffset now);

    /// <summary>The group is on disk.</summary>
    public virtual void OnCommitted() => TrySetResult();

    public virtual void OnRefused(Exception reason) => TrySetException(reason);
}

/// <summary>An attempt between its intent and its charge.</summary>
internal sealed class OpenAttempt(Intent intent)
{
    private int _ending;

    public Intent Intent => intent;

    /// <summary>Its place in the journal; written and read by the writer's thread.</summary>
    public long Seq { get; set; }

    public bool IsEnding => Volatile.Read(ref _ending) == 1;

    /// <returns>False: it has been ended before.</returns>
    public bool TryEnd() => Interlocked.Exchange(ref _ending, 1) == 0;
}

namespace Dvara.Testing;

/// <summary>
/// A clock that stands still until it is moved. Unlike <c>FakeTimeProvider</c> its timers stay on real time: the silo takes its clock from
/// the same container, and would report every step as a stalled process.
/// </summary>
/// <param name="start">Where it stands.</param>
/// <param name="realTimestamps">True: how long something takes is real all the same. Calls between silos need it: they would never time out.</param>
public sealed class StepClock(DateTimeOffset start, bool realTimestamps = false) : TimeProvider
{
    private long _utcTicks = start.UtcTicks;

    public override long TimestampFrequency => realTimestamps ? base.TimestampFrequency : TimeSpan.TicksPerSecond;

    public override DateTimeOffset GetUtcNow() => new(Volatile.Read(ref _utcTicks), TimeSpan.Zero);

    public override long GetTimestamp() => realTimestamps ? base.GetTimestamp() : Volatile.Read(ref _utcTicks);

    public void Advance(TimeSpan step) => Interlocked.Add(ref _utcTicks, step.Ticks);

    public void SetUtcNow(DateTimeOffset now) => Volatile.Write(ref _utcTicks, now.UtcTicks);
}

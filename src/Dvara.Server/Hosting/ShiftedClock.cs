namespace Dvara.Server.Hosting;

/// <summary>The real clock moved by a constant, for rehearsing a month that is not now. Timers stay on real time.</summary>
internal sealed class ShiftedClock(TimeSpan shift) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + shift;
}

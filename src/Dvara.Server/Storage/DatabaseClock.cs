namespace Dvara.Server.Storage;

/// <summary>
/// The clock of a cluster: this machine's monotonic time, anchored to the database's clock, so that all silos agree on the month of a
/// charge whatever their own clocks say. It never goes backwards: where an anchor lies behind what it has said, it stands still until then.
/// Before the first anchor it is the machine's clock.
/// </summary>
internal sealed class DatabaseClock : TimeProvider
{
    private Anchor _anchor = new(System.GetUtcNow().UtcTicks, System.GetTimestamp());
    private long _last;

    /// <summary>How far the machine's own clock was from the database's at the last anchor; positive: ahead.</summary>
    public TimeSpan Skew { get; private set; }

    public override DateTimeOffset GetUtcNow()
    {
        var anchor = Volatile.Read(ref _anchor);
        var now = anchor.Ticks + System.GetElapsedTime(anchor.Timestamp).Ticks;
        for (var last = Volatile.Read(ref _last); now > last;)
        {
            var seen = Interlocked.CompareExchange(ref _last, now, last);
            if (seen == last)
            {
                return new(now, TimeSpan.Zero);
            }

            last = seen;
        }

        return new(Volatile.Read(ref _last), TimeSpan.Zero);
    }

    /// <param name="database">What the database's clock said, some time between the two timestamps.</param>
    /// <param name="askedAt">Timestamp of the system's clock before the question.</param>
    /// <param name="answeredAt">The same after the answer.</param>
    public void SetAnchor(DateTimeOffset database, long askedAt, long answeredAt)
    {
        // The answer was true in the middle, give or take half of the way.
        var now = database.UtcTicks + (System.GetElapsedTime(askedAt, answeredAt).Ticks / 2);
        Volatile.Write(ref _anchor, new Anchor(now, answeredAt));
        Skew = System.GetUtcNow() - new DateTimeOffset(now, TimeSpan.Zero) - System.GetElapsedTime(answeredAt);
    }

    private sealed record Anchor(long Ticks, long Timestamp);
}

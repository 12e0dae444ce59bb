namespace Dvara.Testing;

/// <summary>A clock for which the half minute that a call waits for the ledger is over at once, when told so.</summary>
public sealed class HastyClock(DateTimeOffset now) : TimeProvider
{
    private volatile bool _isHasty;

    public bool IsHasty
    {
        get => _isHasty;
        set => _isHasty = value;
    }

    public override DateTimeOffset GetUtcNow() => now;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        base.CreateTimer(callback, state, _isHasty && dueTime == TimeSpan.FromSeconds(30) ? TimeSpan.FromMilliseconds(1) : dueTime, period);
}

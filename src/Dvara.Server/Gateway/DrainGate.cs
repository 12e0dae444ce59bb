namespace Dvara.Server.Gateway;

/// <summary>How many answers are read on after their client left; bounded, because each holds a provider connection.</summary>
internal sealed class DrainGate(GatewayOptions options)
{
    private int _running;

    public int Running => Volatile.Read(ref _running);

    public TimeSpan Bound { get; } = TimeSpan.FromSeconds(options.DrainSeconds);

    public bool TryEnter()
    {
        if (Interlocked.Increment(ref _running) <= options.DrainsMax)
        {
            return true;
        }

        Interlocked.Decrement(ref _running);
        return false;
    }

    public void Exit() => Interlocked.Decrement(ref _running);
}

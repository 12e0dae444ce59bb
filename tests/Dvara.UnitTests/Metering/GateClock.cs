namespace Dvara.UnitTests.Metering;

/// <summary>A clock that holds whoever asks it. The journal's writer asks once per group, before it writes: the next group can be filled meanwhile.</summary>
internal sealed class GateClock : TimeProvider, IDisposable
{
    private readonly ManualResetEventSlim _open = new(initialState: true);
    private readonly SemaphoreSlim _asked = new(0);

    public override DateTimeOffset GetUtcNow()
    {
        _asked.Release();
        InTime(_open.Wait(MeteringFolder.Patience));
        return SomeAttempts.Now;
    }

    public void Close()
    {
        while (_asked.Wait(0))
        {
            // Earlier questions do not count.
        }

        _open.Reset();
    }

    public void Open() => _open.Set();

    /// <summary>Ends when somebody stands at the closed gate.</summary>
    public async Task WaitUntilAskedAsync() => InTime(await _asked.WaitAsync(MeteringFolder.Patience));

    public void Dispose()
    {
        _open.Dispose();
        _asked.Dispose();
    }

    private static void InTime(bool inTime)
    {
        if (!inTime)
        {
            throw new TimeoutException("The journal's writer did not come to the gate, or was never let through.");
        }
    }
}

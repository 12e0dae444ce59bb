namespace Dvara.Testing;

/// <summary>Waits for what comes true by itself, as long as a slow machine may need.</summary>
public static class Await
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <param name="isTrue">Looked at again and again.</param>
    /// <param name="what">Of the message when it never is.</param>
    public static async Task TrueAsync(Func<Task<bool>> isTrue, string what)
    {
        using var patience = new CancellationTokenSource(Patience);
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!await isTrue())
        {
            if (patience.IsCancellationRequested)
            {
                throw new TimeoutException($"Waited {Patience} for {what}.");
            }

            await poll.WaitForNextTickAsync();
        }
    }
}

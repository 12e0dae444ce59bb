namespace Dvara.Server.Budgets;

/// <summary>
/// How long something takes or holds, by timestamps of the machine. Not the node's clock: that says when a call was made, and may stand still
/// in a rehearsal, while calls wait and leases lapse in real time.
/// </summary>
internal static class Ticks
{
    public static long Now => TimeProvider.System.GetTimestamp();

    public static long In(TimeSpan time) => Now + (long)(time.TotalSeconds * TimeProvider.System.TimestampFrequency);

    public static TimeSpan Since(long timestamp) => TimeProvider.System.GetElapsedTime(timestamp);
}

namespace Dvara.Server.Metering;

/// <summary>Ends the process where going on could lose or double money: the next one starts from what is truly on disk.</summary>
internal sealed partial class ProcessFailure(ILogger<ProcessFailure> logger)
{
    private const string Ending = "The journal can no longer be trusted; the process ends.";

    /// <summary>Does not return. Nothing is flushed: after a failed flush nothing that this process believes about its disk is true.</summary>
    public void End(Exception cause)
    {
        LogEnding(logger, cause);
        // Said once more: the logger writes behind our back, and may not come to it any more.
        Environment.FailFast($"{Ending} {cause.Message}", cause);
    }

    [LoggerMessage(1, LogLevel.Critical, Ending)]
    private static partial void LogEnding(ILogger logger, Exception exception);
}

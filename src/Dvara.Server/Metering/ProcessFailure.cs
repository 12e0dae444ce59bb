namespace Dvara.Server.Metering;

/// <summary>Ends the process where going on could lose or double money: the next one starts from what is truly on disk.</summary>
internal sealed partial class ProcessFailure(ILogger<ProcessFailure> logger)
{
    /// <summary>Does not return. Nothing is flushed: after a failed flush nothing that this process believes about its disk is true.</summary>
    public void End(Exception cause)
    {
        LogEnding(logger, cause);
        Environment.FailFast(cause.Message, cause);
    }

    [LoggerMessage(1, LogLevel.Critical, "The journal can no longer be trusted; the process ends.")]
    private static partial void LogEnding(ILogger logger, Exception exception);
}

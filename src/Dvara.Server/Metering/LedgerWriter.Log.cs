namespace Dvara.Server.Metering;

internal sealed partial class LedgerWriter
{
    [LoggerMessage(1, LogLevel.Warning, "{Count} attempts were open when the last process died; they are unresolved now.")]
    private static partial void LogUnresolved(ILogger logger, int count);

    [LoggerMessage(2, LogLevel.Error, "{Count} journals of this node are missing: what they had not shipped is not in the ledger. See /v1/admin/journals.")]
    private static partial void LogMissing(ILogger logger, int count);

    [LoggerMessage(4, LogLevel.Critical, "The journal ends at {Last}, and the ledger has its charges up to {Shipped}: the journal was put back to an older copy. What it wrote after that copy and had not shipped is lost.")]
    private static partial void LogJournalGap(ILogger logger, long last, long shipped);

    [LoggerMessage(8, LogLevel.Warning, "The process stops with {Open} attempts open and {Unshipped} charges in the journal that the ledger does not have; the next start sees to them.")]
    private static partial void LogLeftOpen(ILogger logger, int open, int unshipped);

    [LoggerMessage(10, LogLevel.Warning, "Everything is in the ledger, but the journal could not be closed there; the next start sees to it.")]
    private static partial void LogNotClosed(ILogger logger, Exception exception);
}

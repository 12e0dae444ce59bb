using Dvara.Domain;

namespace Dvara.Server.Metering;

internal sealed partial class LedgerFeed
{
    [LoggerMessage(3, LogLevel.Critical, "The ledger has charges up to {Shipped} only, and the journal no longer keeps those before {Pruned}: the ledger was put back to an older copy, and what lies between is lost.")]
    private static partial void LogLedgerGap(ILogger logger, long shipped, long pruned);

    [LoggerMessage(5, LogLevel.Warning, "The ledger cannot be written; {Unshipped} charges wait in the journal and are tried again.")]
    private static partial void LogLate(ILogger logger, Exception exception, int unshipped);

    [LoggerMessage(6, LogLevel.Error, "The ledger refuses the charge of attempt {Attempt}; it is in quarantine.")]
    private static partial void LogQuarantined(ILogger logger, Exception exception, AttemptId attempt);

    [LoggerMessage(9, LogLevel.Error, "The ledger had this journal up to {Acknowledged} and has it up to {Shipped} only: it lost commits. They are shipped again.")]
    private static partial void LogWentBack(ILogger logger, long acknowledged, long shipped);

    [LoggerMessage(11, LogLevel.Warning, "The ledger's server or its timeline is another one: it was {Before} and is {Now}. {Fed} charges that the journal keeps were fed to it again; {Missing} of them were missing.")]
    private static partial void LogFedAgain(ILogger logger, string before, string now, int fed, int missing);
}

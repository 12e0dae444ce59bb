namespace Dvara.Server.Metering;

/// <summary>The journal's file cannot be trusted. Going on would lose charges without a word, so the node does not start.</summary>
internal sealed class JournalDamagedException(string path, string what, Exception? inner) : IOException(
    $"The journal {path} is damaged: {what}. It may hold charges that the ledger does not have yet, so it is left as it is. Restore the "
    + $"file from its volume's last good state, or move {path} and the files beside it ({path}-wal, {path}-shm) away, keep them, and "
    + "start again: the ledger then lists the old journal as MISSING.",
    inner);

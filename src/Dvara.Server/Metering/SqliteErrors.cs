using Microsoft.Data.Sqlite;

namespace Dvara.Server.Metering;

/// <summary>SQLite's result codes that decide what the journal does next.</summary>
internal static class SqliteErrors
{
    public const int Error = 1;
    public const int Full = 13;
    public const int Corrupt = 11;
    public const int NotADatabase = 26;

    /// <summary>A full disk while SQLite grows its shared memory file.</summary>
    private const int NoRoomForSharedMemory = 4874;

    /// <summary>Nothing is broken: the write was rolled back and works again when there is room.</summary>
    public static bool IsFull(SqliteException exception) =>
        exception.SqliteErrorCode == Full || exception.SqliteExtendedErrorCode == NoRoomForSharedMemory;
}

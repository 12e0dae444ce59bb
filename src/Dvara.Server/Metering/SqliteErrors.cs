using Microsoft.Data.Sqlite;

namespace Dvara.Server.Metering;

/// <summary>SQLite's result codes that decide what the journal and the ledger writer do next.</summary>
internal static class SqliteErrors
{
    public const int Error = 1;
    public const int Full = 13;
    public const int Corrupt = 11;
    public const int NotADatabase = 26;

    private const int TooBig = 18;
    private const int Constraint = 19;
    private const int Mismatch = 20;
    private const int Range = 25;

    /// <summary>A full disk while SQLite grows its shared memory file.</summary>
    private const int NoRoomForSharedMemory = 4874;

    /// <summary>Nothing is broken: the write was rolled back and works again when there is room.</summary>
    public static bool IsFull(SqliteException exception) =>
        exception.SqliteErrorCode == Full || exception.SqliteExtendedErrorCode == NoRoomForSharedMemory;

    /// <summary>The row is to blame, whatever else happens: writing it again would be refused again.</summary>
    public static bool IsRefusal(SqliteException exception) =>
        exception.SqliteErrorCode is TooBig or Constraint or Mismatch or Range;
}

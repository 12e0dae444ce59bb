using Dvara.Server.Storage;
using Npgsql;
using Xunit;

namespace Dvara.UnitTests.Storage;

public sealed class DatabaseTests
{
    [Theory]
    [InlineData(PostgresErrorCodes.ReadOnlySqlTransaction, true)]
    [InlineData(PostgresErrorCodes.InvalidAuthorizationSpecification, true)]
    [InlineData(PostgresErrorCodes.InvalidPassword, true)]
    [InlineData(PostgresErrorCodes.QueryCanceled, true)]
    [InlineData(PostgresErrorCodes.AdminShutdown, true)]
    [InlineData(PostgresErrorCodes.CannotConnectNow, true)]
    [InlineData(PostgresErrorCodes.SerializationFailure, true)]
    [InlineData(PostgresErrorCodes.DeadlockDetected, true)]
    [InlineData(PostgresErrorCodes.UniqueViolation, false)]
    [InlineData(PostgresErrorCodes.NumericValueOutOfRange, false)]
    [InlineData(PostgresErrorCodes.InsufficientPrivilege, false)]
    [InlineData(PostgresErrorCodes.UndefinedTable, false)]
    public void Database_IsAway_ForWhatPasses(string state, bool expected) =>
        Assert.Equal(expected, Database.IsAway(new PostgresException("", "ERROR", "ERROR", state)));
}

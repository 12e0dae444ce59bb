using System.Data;
using Dapper;
using Dvara.Domain;
using Microsoft.Data.Sqlite;

namespace Dvara.Server.Storage;

/// <summary>How our types stand in rows, in one place: ids as 16 bytes big-endian (they sort), instants as Unix milliseconds, money as pico-dollars.</summary>
internal static class DapperTypes
{
    // Whoever comes second waits until everything is registered: several databases open side by side.
    private static readonly Lazy<bool> Registered = new(RegisterAll);

    public static void Register() => _ = Registered.Value;

    private static bool RegisterAll()
    {
        // Dapper's own maps would win over a handler.
        SqlMapper.RemoveTypeMap(typeof(DateTimeOffset));
        SqlMapper.RemoveTypeMap(typeof(DateTimeOffset?));
        SqlMapper.AddTypeHandler(typeof(DateTimeOffset), new InstantHandler());
        SqlMapper.AddTypeHandler(typeof(Usd), new UsdHandler());
        SqlMapper.AddTypeHandler(typeof(TenantId), new IdHandler<TenantId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(typeof(ApiKeyId), new IdHandler<ApiKeyId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(typeof(KeyLineId), new IdHandler<KeyLineId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(typeof(RequestId), new IdHandler<RequestId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(typeof(AttemptId), new IdHandler<AttemptId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(typeof(PriceId), new IdHandler<PriceId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(typeof(StatementId), new IdHandler<StatementId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(typeof(JournalId), new IdHandler<JournalId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(typeof(AdminTokenId), new IdHandler<AdminTokenId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(typeof(CapId), new IdHandler<CapId>(id => id.Value, value => new(value)));
        return true;
    }

    // Handlers in full, not TypeHandler<T>: PostgreSQL must know the type of a null too.
    private sealed class IdHandler<T>(Func<T, Guid> toGuid, Func<Guid, T> fromGuid) : SqlMapper.ITypeHandler
    {
        public void SetValue(IDbDataParameter parameter, object value)
        {
            Guid? id = value is T typed ? toGuid(typed) : null;
            if (parameter is SqliteParameter)
            {
                parameter.Value = (object?)id?.ToByteArray(bigEndian: true) ?? DBNull.Value;
                return;
            }

            parameter.DbType = DbType.Guid;
            parameter.Value = (object?)id ?? DBNull.Value;
        }

        public object? Parse(Type destinationType, object value) => value switch
        {
            byte[] bytes => fromGuid(new Guid(bytes, bigEndian: true)),
            Guid guid => fromGuid(guid),
            _ => throw new InvalidCastException($"An id column holds {value.GetType().Name}."),
        };
    }

    private sealed class InstantHandler : SqlMapper.ITypeHandler
    {
        public void SetValue(IDbDataParameter parameter, object value)
        {
            parameter.DbType = DbType.Int64;
            parameter.Value = value is DateTimeOffset instant ? instant.ToUnixTimeMilliseconds() : DBNull.Value;
        }

        public object Parse(Type destinationType, object value) => DateTimeOffset.FromUnixTimeMilliseconds((long)value);
    }

    private sealed class UsdHandler : SqlMapper.ITypeHandler
    {
        public void SetValue(IDbDataParameter parameter, object value)
        {
            parameter.DbType = DbType.Int64;
            parameter.Value = value is Usd usd ? usd.ToRowPicoUsd() : DBNull.Value;
        }

        public object Parse(Type destinationType, object value) => value switch
        {
            long pico => Usd.FromPico(pico),
            decimal pico => new Usd((Int128)pico),
            _ => throw new InvalidCastException($"A money column holds {value.GetType().Name}."),
        };
    }
}

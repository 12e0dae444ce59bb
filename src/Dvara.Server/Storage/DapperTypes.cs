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
        SqlMapper.AddTypeHandler(new InstantHandler());
        SqlMapper.AddTypeHandler(new UsdHandler());
        SqlMapper.AddTypeHandler(new IdHandler<TenantId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(new IdHandler<ApiKeyId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(new IdHandler<RequestId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(new IdHandler<AttemptId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(new IdHandler<PriceId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(new IdHandler<StatementId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(new IdHandler<JournalId>(id => id.Value, value => new(value)));
        SqlMapper.AddTypeHandler(new IdHandler<AdminTokenId>(id => id.Value, value => new(value)));
        return true;
    }

    private sealed class IdHandler<T>(Func<T, Guid> toGuid, Func<Guid, T> fromGuid) : SqlMapper.TypeHandler<T>
    {
        public override void SetValue(IDbDataParameter parameter, T? value)
        {
            var guid = toGuid(value!);
            parameter.Value = parameter is SqliteParameter ? guid.ToByteArray(bigEndian: true) : guid;
        }

        public override T Parse(object value) => value switch
        {
            byte[] bytes => fromGuid(new Guid(bytes, bigEndian: true)),
            Guid guid => fromGuid(guid),
            _ => throw new InvalidCastException($"An id column holds {value.GetType().Name}."),
        };
    }

    private sealed class InstantHandler : SqlMapper.TypeHandler<DateTimeOffset>
    {
        public override void SetValue(IDbDataParameter parameter, DateTimeOffset value)
        {
            parameter.DbType = DbType.Int64;
            parameter.Value = value.ToUnixTimeMilliseconds();
        }

        public override DateTimeOffset Parse(object value) => DateTimeOffset.FromUnixTimeMilliseconds((long)value);
    }

    private sealed class UsdHandler : SqlMapper.TypeHandler<Usd>
    {
        public override void SetValue(IDbDataParameter parameter, Usd value)
        {
            parameter.DbType = DbType.Int64;
            parameter.Value = value.ToRowPicoUsd();
        }

        public override Usd Parse(object value) => value switch
        {
            long pico => Usd.FromPico(pico),
            decimal pico => new Usd((Int128)pico),
            _ => throw new InvalidCastException($"A money column holds {value.GetType().Name}."),
        };
    }
}

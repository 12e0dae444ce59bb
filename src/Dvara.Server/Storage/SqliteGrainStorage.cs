using System.Globalization;
using Dapper;
using Orleans.Serialization.Serializers;
using Orleans.Storage;

namespace Dvara.Server.Storage;

/// <summary>
/// State that grains keep through Orleans, in SQLite. The ETag is a version: a write with a stale one changes nothing and throws
/// <see cref="InconsistentStateException"/>, as does a first write that comes second.
/// </summary>
internal sealed class SqliteGrainStorage(Database database, IGrainStorageSerializer serializer, IActivatorProvider activators) : IGrainStorage
{
    private const string Read = "SELECT version, state FROM grain_state WHERE grain_id = @grain AND name = @name";

    private const string WriteFirst = """
        INSERT INTO grain_state (grain_id, name, version, state) VALUES (@grain, @name, 1, @state) ON CONFLICT DO NOTHING
        """;

    private const string WriteNext = """
        UPDATE grain_state SET version = version + 1, state = @state WHERE grain_id = @grain AND name = @name AND version = @version
        """;

    public async Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        var row = await database.ReadAsync(
            connection => connection.QuerySingleOrDefaultAsync<Row>(Read, new { grain = grainId.ToString(), name = stateName }),
            CancellationToken.None);
        grainState.ETag = row?.Version.ToString(CultureInfo.InvariantCulture);
        grainState.RecordExists = row?.State is not null;
        grainState.State = row?.State is { } state ? serializer.Deserialize<T>(new BinaryData(state)) : Fresh<T>();
    }

    public async Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        var state = serializer.Serialize(grainState.State).ToArray();
        grainState.ETag = await WriteAsync(stateName, grainId, grainState.ETag, state);
        grainState.RecordExists = true;
    }

    public async Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        if (grainState.ETag is null)
        {
            // Never read: what stands there is meant.
            await ReadStateAsync(stateName, grainId, grainState);
        }

        if (grainState.RecordExists)
        {
            grainState.ETag = await WriteAsync(stateName, grainId, grainState.ETag, state: null);
        }

        grainState.RecordExists = false;
        grainState.State = Fresh<T>();
    }

    private T Fresh<T>() => activators.GetActivator<T>().Create();

    /// <summary>Answers the new ETag.</summary>
    private async Task<string> WriteAsync(string stateName, GrainId grainId, string? etag, byte[]? state)
    {
        var version = etag is null ? 0 : long.Parse(etag, CultureInfo.InvariantCulture);
        var row = new { grain = grainId.ToString(), name = stateName, version, state };
        var written = await database.WriteAsync(
            WriteLane.Admin,
            transaction => transaction.Connection!.ExecuteAsync(etag is null ? WriteFirst : WriteNext, row, transaction),
            CancellationToken.None);
        return written == 1
            ? (version + 1).ToString(CultureInfo.InvariantCulture)
            : throw new InconsistentStateException(
                $"State {stateName} of {grainId} is no longer at version {version}. Let the activation end; the next one reads it anew.");
    }

    private sealed record Row(long Version, byte[]? State);
}

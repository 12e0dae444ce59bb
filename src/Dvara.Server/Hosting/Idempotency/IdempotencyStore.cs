using System.Data.Common;
using System.Text.Json;
using Dapper;
using Dvara.Server.Storage;

namespace Dvara.Server.Hosting.Idempotency;

/// <summary>All SQL of idempotency keys.</summary>
internal sealed class IdempotencyStore(Database database)
{
    /// <summary>How long a key is remembered.</summary>
    public static readonly TimeSpan Kept = TimeSpan.FromHours(24);

    /// <summary>
    /// In a cluster a claim of another process is that of a silo at work, until it is older than any call may take. On one node it is
    /// that of a process that is gone.
    /// </summary>
    private static readonly TimeSpan OthersWork = TimeSpan.FromMinutes(2);

    private const string Forget = "DELETE FROM idempotency_keys WHERE claimed_ms < @before";

    private const string Find = """
        SELECT fingerprint, process, effect, status, headers, answer, claimed_ms AS claimedAt FROM idempotency_keys WHERE actor = @actor AND key = @key
        """;

    private const string Claim = """
        INSERT INTO idempotency_keys (actor, key, fingerprint, process, claimed_ms) VALUES (@actor, @key, @fingerprint, @process, @now)
        ON CONFLICT (actor, key) DO UPDATE SET process = excluded.process, claimed_ms = excluded.claimed_ms
        """;

    private const string MarkEffect = "UPDATE idempotency_keys SET effect = 1 WHERE actor = @actor AND key = @key";

    private const string Keep = """
        UPDATE idempotency_keys SET status = @status, headers = @headers, answer = @answer WHERE actor = @actor AND key = @key
        """;

    private const string DropWithoutEffect = "DELETE FROM idempotency_keys WHERE actor = @actor AND key = @key AND effect = 0";

    private const string LetGo = "UPDATE idempotency_keys SET process = NULL WHERE actor = @actor AND key = @key";

    // Tells claims of this process from those that a dead one left behind.
    private readonly byte[] _process = Guid.NewGuid().ToByteArray();

    /// <summary>Takes the key for <paramref name="claim"/>, or says why it cannot be had.</summary>
    public Task<ClaimOutcome> ClaimAsync(IdempotencyClaim claim, DateTimeOffset now, CancellationToken cancellationToken) =>
        database.WriteAsync(
            WriteLane.Admin,
            async transaction =>
            {
                var connection = transaction.Connection!;
                await connection.ExecuteAsync(Forget, new { before = now - Kept }, transaction);
                var row = await connection.QuerySingleOrDefaultAsync<Row>(Find, new { actor = claim.Actor, key = claim.Key }, transaction);
                if (row is not null && Explain(row, claim, now) is { } taken)
                {
                    return taken;
                }

                await connection.ExecuteAsync(
                    Claim, new { actor = claim.Actor, key = claim.Key, fingerprint = claim.Fingerprint, process = _process, now }, transaction);
                return new ClaimOutcome(ClaimState.Taken, null);
            },
            cancellationToken);

    /// <summary>Notes, in the transaction of the effect itself, that the call has had one.</summary>
    public static Task MarkEffectAsync(DbTransaction transaction, IdempotencyClaim claim) =>
        transaction.Connection!.ExecuteAsync(MarkEffect, new { actor = claim.Actor, key = claim.Key }, transaction);

    public Task KeepAsync(IdempotencyClaim claim, StoredAnswer answer) => database.WriteAsync(
        WriteLane.Admin,
        transaction => transaction.Connection!.ExecuteAsync(
            Keep,
            new
            {
                actor = claim.Actor,
                key = claim.Key,
                status = answer.Status,
                headers = JsonSerializer.Serialize(answer.Headers),
                answer = answer.Body,
            },
            transaction),
        CancellationToken.None);

    /// <summary>Gives a key back whose call had no effect; one that had stays, as interrupted.</summary>
    public Task ReleaseAsync(IdempotencyClaim claim) => database.WriteAsync(
        WriteLane.Admin,
        async transaction =>
        {
            var row = new { actor = claim.Actor, key = claim.Key };
            await transaction.Connection!.ExecuteAsync(DropWithoutEffect, row, transaction);
            await transaction.Connection!.ExecuteAsync(LetGo, row, transaction);
        },
        CancellationToken.None);

    /// <returns>Null when the key may be taken over: its process is gone and left no effect.</returns>
    private ClaimOutcome? Explain(Row row, IdempotencyClaim claim, DateTimeOffset now)
    {
        if (!row.Fingerprint.AsSpan().SequenceEqual(claim.Fingerprint))
        {
            return new(ClaimState.OtherCall, null);
        }

        if (row.Status is { } status)
        {
            var headers = JsonSerializer.Deserialize<Dictionary<string, string>>(row.Headers!)!;
            return new(ClaimState.Answered, new StoredAnswer((int)status, headers, row.Answer!));
        }

        if (row.Process is not null && (row.Process.AsSpan().SequenceEqual(_process) || (database.IsCluster && now - row.ClaimedAt < OthersWork)))
        {
            return new(ClaimState.Running, null);
        }

        return row.Effect == 1 ? new ClaimOutcome(ClaimState.Interrupted, null) : null;
    }

    private sealed class Row
    {
        public byte[] Fingerprint { get; init; } = [];

        public byte[]? Process { get; init; }

        public long Effect { get; init; }

        public long? Status { get; init; }

        public string? Headers { get; init; }

        public byte[]? Answer { get; init; }

        public DateTimeOffset ClaimedAt { get; init; }
    }
}

internal enum ClaimState
{
    /// <summary>The caller has it and may go ahead.</summary>
    Taken,

    /// <summary>The first call has ended; here is its answer.</summary>
    Answered,

    /// <summary>The first call has not ended yet.</summary>
    Running,

    /// <summary>The key belongs to a call with other contents.</summary>
    OtherCall,

    /// <summary>The first call took effect, and its answer was lost.</summary>
    Interrupted,
}

internal sealed record ClaimOutcome(ClaimState State, StoredAnswer? Answer);

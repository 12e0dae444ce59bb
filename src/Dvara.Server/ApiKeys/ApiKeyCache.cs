using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Dvara.Server.Storage;
using Dvara.Server.Tenants;

namespace Dvara.Server.ApiKeys;

/// <summary>This silo's answers to "whose key is this"; fails closed: a key that nobody can look up is not let in.</summary>
/// <remarks>
/// An answer stays until the change feed announces its key or tenant. An entry goes into the table before its flight asks for
/// <see cref="ChangeFeed.Seen"/>, and the feed raises that number before it drops entries: so whatever changes during a flight is either in
/// its answer or drops the entry it would fill, and nothing outdated can stay.
/// <para>
/// While the feed cannot be read, answers may be up to 10 minutes old; after that every look-up asks grain and database again, and without
/// them ends in <see cref="ApiKeysUnavailableException"/>. What is known to have changed is never answered from before the change.
/// </para>
/// </remarks>
internal sealed partial class ApiKeyCache
{
    /// <summary>More keys than this on one silo are asked for again now and then; about 1 KB each.</summary>
    public const int KnownMax = 100_000;

    /// <summary>Keys nobody has: few and short-lived, since anyone can make them up.</summary>
    public const int UnknownMax = 10_000;

    private const int NoteIntervalMs = 1000;

    private static readonly TimeSpan UnknownLife = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan StaleMax = TimeSpan.FromMinutes(10);

    private readonly ConcurrentDictionary<KeyHash, Entry> _entries = new();

    // In order of arrival; they also hold entries that were dropped since, until those reach the front.
    private readonly ConcurrentQueue<KeyValuePair<KeyHash, Entry>> _known = new();
    private readonly ConcurrentQueue<KeyValuePair<KeyHash, Entry>> _unknown = new();

    private readonly IGrainFactory _grains;
    private readonly ApiKeyStore _store;
    private readonly ChangeFeed _changes;
    private readonly ApiKeyUses _uses;
    private readonly TimeProvider _clock;
    private readonly ILogger<ApiKeyCache> _logger;

    public ApiKeyCache(
        IGrainFactory grains, ApiKeyStore store, ChangeFeed changes, ApiKeyUses uses, TimeProvider clock, IMeterFactory meters, ILogger<ApiKeyCache> logger)
    {
        (_grains, _store, _changes, _uses, _clock, _logger) = (grains, store, changes, uses, clock, logger);
        changes.Subscribe(ApiKeyStore.Topic, DropKeyAsync);
        changes.Subscribe(TenantDirectory.ChangeTopic, DropTenantAsync);
        meters.Create("Dvara.ApiKeys").CreateObservableGauge(
            "dvara.api_keys.cached", () => Count, "{key}", "Keys that this silo answers without a call, also those nobody has.");
    }

    /// <summary>Keys that are answered without a call, and those being asked for.</summary>
    public int Count => _entries.Count;

    /// <summary>Looks a well-formed key up; a warm key costs no allocation and no call.</summary>
    /// <param name="key">Passed <see cref="ApiKeyFormat.IsWellFormed"/> already.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Whose key it is (whatever its status), or null for a key nobody has.</returns>
    /// <exception cref="ApiKeysUnavailableException">Neither cache nor grain nor database can say.</exception>
    public ValueTask<ApiKeyIdentity?> FindAsync(string key, CancellationToken cancellationToken)
    {
        if (key.Length > ApiKeyFormat.CharactersMax)
        {
            return default;
        }

        var hash = KeyHash.Of(key);
        return _entries.TryGetValue(hash, out var entry) && entry.Answer.IsCompletedSuccessfully && IsCurrent(entry)
            ? new(Present(entry))
            : FindColdAsync(key, hash, cancellationToken);
    }

    private async ValueTask<ApiKeyIdentity?> FindColdAsync(string key, KeyHash hash, CancellationToken cancellationToken)
    {
        if (!ApiKeyFormat.IsWellFormed(key))
        {
            return null;
        }

        Entry? entry;
        while (!_entries.TryGetValue(hash, out entry) || HasLapsed(entry))
        {
            var mine = new Entry();
            if (entry is null ? _entries.TryAdd(hash, mine) : _entries.TryUpdate(hash, mine, entry))
            {
                // One flight for all that wait, so nobody's leaving ends it; it settles its entry whatever happens.
                _ = AskAsync(hash, mine);
                entry = mine;
                break;
            }
        }

        await entry.Answer.WaitAsync(cancellationToken);
        return Present(entry);
    }

    private async Task AskAsync(KeyHash hash, Entry entry)
    {
        try
        {
            var change = IsFeedCurrent() ? _changes.Seen : long.MaxValue;
            var identity = await IdentifyAsync(hash, change);
            entry.AnsweredAt = _clock.GetTimestamp();
            Keep(new(hash, entry), identity is null ? _unknown : _known, identity is null ? UnknownMax : KnownMax);
            entry.Settle(identity);
        }
        catch (Exception exception)
        {
            _entries.TryRemove(new(hash, entry));
            LogLookUpFailed(_logger, exception);
            entry.Fail(new ApiKeysUnavailableException("Neither grain nor database answered whose key it is.", exception));
        }
    }

    private async Task<ApiKeyIdentity?> IdentifyAsync(KeyHash hash, long change)
    {
        try
        {
            return await _grains.GetGrain<IApiKeyGrain>(hash.ToString()).IdentifyAsync(change);
        }
        catch (Exception exception) when (exception is TimeoutException or OrleansException)
        {
            // Its silo is gone and not yet declared dead. The row decides.
            return (await _store.IdentifyAsync(hash, CancellationToken.None)).Identity;
        }
    }

    private void Keep(KeyValuePair<KeyHash, Entry> entry, ConcurrentQueue<KeyValuePair<KeyHash, Entry>> queue, int max)
    {
        queue.Enqueue(entry);
        while (queue.Count > max && queue.TryDequeue(out var oldest))
        {
            _entries.TryRemove(oldest);
        }
    }

    /// <summary>The answer as of now, and a note that the key was used.</summary>
    private ApiKeyIdentity? Present(Entry entry)
    {
        var identity = entry.Answer.Result;
        if (identity is null or { Status: ApiKeyStatus.Revoked or ApiKeyStatus.Expired })
        {
            return identity;
        }

        var now = _clock.GetUtcNow();
        if (identity.ExpiresAt <= now)
        {
            return entry.Expired ??= identity with { Status = ApiKeyStatus.Expired };
        }

        var nowMs = now.ToUnixTimeMilliseconds();
        if (nowMs - Volatile.Read(ref entry.NotedMs) >= NoteIntervalMs)
        {
            Volatile.Write(ref entry.NotedMs, nowMs);
            _uses.Note(identity.KeyId, nowMs);
        }

        return identity;
    }

    private bool HasLapsed(Entry entry) => entry.Answer.IsCompleted && !(entry.Answer.IsCompletedSuccessfully && IsCurrent(entry));

    private bool IsCurrent(Entry entry) =>
        IsFeedCurrent() && (entry.Answer.Result is not null || _clock.GetElapsedTime(entry.AnsweredAt) < UnknownLife);

    /// <summary>False: keys that are known here are too old to be answered, so no call can be let in.</summary>
    public bool IsFeedCurrent() => _clock.GetElapsedTime(_changes.CaughtUpAt) <= StaleMax;

    private Task DropKeyAsync(string hash, CancellationToken cancellationToken)
    {
        if (KeyHash.TryParse(hash, out var known))
        {
            _entries.TryRemove(known, out _);
        }
        else
        {
            _entries.Clear();
        }

        return Task.CompletedTask;
    }

    private Task DropTenantAsync(string tenant, CancellationToken cancellationToken)
    {
        var all = !Guid.TryParse(tenant, out var id);
        foreach (var entry in _entries)
        {
            // Of a flight nobody knows yet whose key it asks for.
            if (all || !entry.Value.Answer.IsCompletedSuccessfully || entry.Value.Answer.Result?.TenantId == id)
            {
                _entries.TryRemove(entry);
            }
        }

        return Task.CompletedTask;
    }

    [LoggerMessage(1, LogLevel.Warning, "A key could not be looked up; its requests are refused with 503 until it can.")]
    private static partial void LogLookUpFailed(ILogger logger, Exception exception);

    /// <summary>One key's flight, then its answer.</summary>
    private sealed class Entry
    {
        private readonly TaskCompletionSource<ApiKeyIdentity?> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<ApiKeyIdentity?> Answer => _answer.Task;

        /// <summary>Timestamp of the clock; written before the answer settles.</summary>
        public long AnsweredAt { get; set; }

        /// <summary>The same identity after its time, made once.</summary>
        public ApiKeyIdentity? Expired { get; set; }

        /// <summary>Unix milliseconds of the last use that was noted. Two requests at once may both note theirs.</summary>
        public long NotedMs;

        public void Settle(ApiKeyIdentity? identity) => _answer.SetResult(identity);

        public void Fail(Exception exception) => _answer.SetException(exception);
    }
}

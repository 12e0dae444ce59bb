using System.Collections.Concurrent;
using Dvara.Domain;
using Dvara.Server.Hosting;

namespace Dvara.Server.ApiKeys;

/// <summary>
/// When each key was last used, written in the background: a request never waits for it, and a key in steady use costs one write every ten
/// seconds. A crash loses at most those. Answers of this node write it first, so they are exact to the second.
/// </summary>
internal sealed class ApiKeyUses(ApiKeyStore store, ILogger<ApiKeyUses> logger)
    : PeriodicService(TimeSpan.FromSeconds(10), "The last uses of API keys could not be written; they are kept and tried again.", logger)
{
    // At most one entry per key that exists. Unix milliseconds: a long is replaced in place, where a larger value would allocate.
    private readonly ConcurrentDictionary<Guid, long> _unwritten = new();

    /// <param name="keyId">The key.</param>
    /// <param name="atMs">Unix milliseconds.</param>
    public void Note(Guid keyId, long atMs) => _unwritten[keyId] = atMs;

    public async Task WriteAsync(CancellationToken cancellationToken)
    {
        var uses = _unwritten.ToArray();
        if (uses.Length == 0)
        {
            return;
        }

        await store.NoteUsesAsync([.. uses.Select(use => (new ApiKeyId(use.Key), use.Value))], cancellationToken);
        foreach (var use in uses)
        {
            // Only what was written: a later use of the same key stays for the next time.
            _unwritten.TryRemove(use);
        }
    }

    protected override Task FinishAsync(CancellationToken cancellationToken) => WriteAsync(cancellationToken);

    protected override Task TickAsync(CancellationToken stoppingToken) => WriteAsync(stoppingToken);
}

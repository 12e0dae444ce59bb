using System.Collections.Concurrent;
using Dvara.Domain;
using Dvara.Server.Hosting;

namespace Dvara.Server.AdminTokens;

/// <summary>
/// When each token was last used, written in the background: a call never waits for it, and a token in steady use costs one write every
/// ten seconds. A crash loses at most those. Lists write it first, so they are exact.
/// </summary>
internal sealed class TokenUses(AdminTokenStore store, TimeProvider clock, ILogger<TokenUses> logger)
    : PeriodicService(TimeSpan.FromSeconds(10), "The last uses of admin tokens could not be written; they are kept and tried again.", logger)
{
    // At most one entry per token that exists.
    private readonly ConcurrentDictionary<AdminTokenId, DateTimeOffset> _unwritten = new();

    public void Note(AdminTokenId id) => _unwritten[id] = clock.GetUtcNow();

    public async Task WriteAsync(CancellationToken cancellationToken)
    {
        var uses = _unwritten.ToArray();
        if (uses.Length == 0)
        {
            return;
        }

        await store.NoteUsesAsync(uses, cancellationToken);
        foreach (var use in uses)
        {
            // Only what was written: a later use of the same token stays for the next time.
            _unwritten.TryRemove(use);
        }
    }

    protected override Task FinishAsync(CancellationToken cancellationToken) => WriteAsync(cancellationToken);

    protected override Task TickAsync(CancellationToken stoppingToken) => WriteAsync(stoppingToken);
}

using Orleans.Placement;

namespace Dvara.Server.ApiKeys;

/// <summary>
/// Reads a key's row once for all silos that ask, and again when an asker knows of a newer change. Fails closed: what cannot be read again
/// is not answered.
/// </summary>
// Any silo: each asks once and remembers.
[RandomPlacement]
internal sealed class ApiKeyGrain(ApiKeyStore store) : Grain, IApiKeyGrain
{
    private ApiKeyIdentity? _identity;

    // The last change that is contained in _identity; null: nothing read yet.
    private long? _change;

    public async Task<ApiKeyIdentity?> IdentifyAsync(long change)
    {
        if (_change is null || _change < change)
        {
            (_identity, _change) = await store.IdentifyAsync(HashOf(this.GetPrimaryKeyString()), CancellationToken.None);
        }

        if (_identity is null)
        {
            // Keys that were made up would fill the memory with grains.
            DeactivateOnIdle();
        }

        return _identity;
    }

    private static KeyHash HashOf(string key) => KeyHash.TryParse(key, out var hash)
        ? hash
        : throw new InvalidOperationException($"The grain's key has {key.Length} characters and is not a SHA-256 in hexadecimal.");
}

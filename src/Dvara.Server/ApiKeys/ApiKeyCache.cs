namespace Dvara.Server.ApiKeys;

/// <summary>This silo's answers to "whose key is this"; fails closed: a key that nobody can look up is not let in.</summary>
internal sealed class ApiKeyCache
{
    /// <summary>Looks a well-formed key up; a warm key costs no allocation and no call.</summary>
    /// <param name="key">Passed <see cref="ApiKeyFormat.IsWellFormed"/> already.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Whose key it is (whatever its status), or null for a key nobody has.</returns>
    public ValueTask<ApiKeyIdentity?> FindAsync(string key, CancellationToken cancellationToken) => throw new NotImplementedException();
}

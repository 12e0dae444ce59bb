using Dvara.Domain;

namespace Dvara.Server.ApiKeys;

/// <summary>What keys are called in the ledger's lines and on statements.</summary>
internal sealed class ApiKeyNames(ApiKeyStore store)
{
    /// <summary>Every key that the tenant ever had, also revoked and deleted ones.</summary>
    public Task<IReadOnlyDictionary<ApiKeyId, string>> NamesAsync(TenantId tenant, CancellationToken cancellationToken) =>
        store.NamesAsync(tenant, cancellationToken);
}

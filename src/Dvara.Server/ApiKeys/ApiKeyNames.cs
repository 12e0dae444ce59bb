using Dvara.Domain;

namespace Dvara.Server.ApiKeys;

internal sealed class ApiKeyNames
{
    public Task<IReadOnlyDictionary<ApiKeyId, string>> NamesAsync(TenantId tenant, CancellationToken cancellationToken) =>
        throw new NotImplementedException();
}

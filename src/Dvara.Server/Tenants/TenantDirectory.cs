using Dvara.Domain;

namespace Dvara.Server.Tenants;

internal sealed class TenantDirectory
{
    public Task<string?> NameAsync(TenantId tenant, CancellationToken cancellationToken) => throw new NotImplementedException();
}

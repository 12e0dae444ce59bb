using Dvara.Domain;

namespace Dvara.Server.Tenants;

/// <summary>What other slices ask of tenants.</summary>
internal sealed class TenantDirectory(TenantStore store)
{
    /// <summary>The topic of <c>ChangeFeed</c> on which every new and changed tenant is announced; the subject is its id.</summary>
    public const string ChangeTopic = "tenants";

    /// <returns>The name, of a closed tenant too; null for an unknown one.</returns>
    public Task<string?> NameAsync(TenantId tenant, CancellationToken cancellationToken) => store.FindNameAsync(tenant, cancellationToken);
}

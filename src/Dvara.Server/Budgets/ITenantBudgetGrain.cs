namespace Dvara.Server.Budgets;

/// <summary>Grants leases of one tenant's caps, for all silos. Its key is the tenant's id, or <c>platform</c> for caps without a tenant.</summary>
[Alias("dvara.tenant-budget")]
internal interface ITenantBudgetGrain : IGrainWithStringKey
{
    /// <summary>Key of the grain of caps without a tenant.</summary>
    const string Platform = "platform";

    /// <exception cref="System.Data.Common.DbException">The database is away: nothing is known.</exception>
    [Alias("GrantAsync")]
    [ResponseTimeout("00:00:02")]
    Task<LeaseAnswer> GrantAsync(LeaseQuestion question);
}

using Dvara.Server.Audit;
using Dvara.Server.Hosting;

namespace Dvara.Server.Tenants;

/// <summary>What the audit trail says of tenants.</summary>
internal static class TenantAudit
{
    public static string TypeOf(Tenant before, Tenant next) =>
        before.Status != TenantStatus.Closed && next.Status == TenantStatus.Closed ? AuditTypes.TenantClosed : AuditTypes.TenantUpdated;

    public static object Facts(Tenant tenant) =>
        new { tenant.Id, tenant.Name, status = tenant.Status.ContractName(), tenant.Region, tenant.Metadata, tenant.Tags };

    /// <summary>The tenant as it became; as it was, the event before this one says.</summary>
    public static object Facts(Tenant before, Tenant next) => new
    {
        next.Id,
        next.Name,
        status = next.Status.ContractName(),
        next.Region,
        next.Metadata,
        next.Tags,
        changed = before.ChangesTo(next),
    };
}

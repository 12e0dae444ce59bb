namespace Dvara.Server.Tenants;

internal enum TenantStatus
{
    Active,

    /// <summary>Keys answer 403 <c>tenant_suspended</c>.</summary>
    Suspended,

    /// <summary>Readable and reportable for ever; keys answer 401.</summary>
    Closed,
}

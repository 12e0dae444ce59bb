namespace Dvara.Server.Tenants;

internal enum TenantStatus
{
    Active,

    /// <summary>Keys answer 403 <c>tenant_suspended</c>.</summary>
    Suspended,

    /// <summary>Readable and reportable for ever; keys answer 401.</summary>
    Closed,
}

internal static class TenantStatuses
{
    /// <summary>As the contract and the rows write it: <c>ACTIVE</c>.</summary>
    public static string Name(this TenantStatus status) => status switch
    {
        TenantStatus.Active => "ACTIVE",
        TenantStatus.Suspended => "SUSPENDED",
        TenantStatus.Closed => "CLOSED",
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, "No such status."),
    };

    /// <returns>Null for a name that is no status.</returns>
    public static TenantStatus? Parse(string name) =>
        Enum.GetValues<TenantStatus>().Cast<TenantStatus?>().FirstOrDefault(status => status!.Value.Name() == name);
}

using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.AdminTokens;

/// <summary>A preset of scopes. Read when the token is used, so that a role also has the scopes of what came later.</summary>
internal enum AdminRole
{
    /// <summary>Everything.</summary>
    Owner,

    /// <summary>Everything but making and deleting admin tokens.</summary>
    Admin,

    /// <summary>Prices, costs and statements; sees the rest that explains them.</summary>
    Billing,

    /// <summary>Sees everything but admin tokens.</summary>
    Viewer,
}

internal static class AdminRoles
{
    private static readonly HashSet<string> OwnerScopes = [.. AdminScopes.All];

    private static readonly HashSet<string> AdminsScopes = [.. AdminScopes.All.Except(["tokens:write"])];

    private static readonly HashSet<string> ViewerScopes =
        [.. AdminScopes.All.Where(scope => scope.EndsWith(":read", StringComparison.Ordinal)).Except(["tokens:read"])];

    private static readonly HashSet<string> BillingScopes = [.. ViewerScopes, "pricing:write", "costs:write", "chargeback:write"];

    public static IReadOnlySet<string> Scopes(this AdminRole role) => role switch
    {
        AdminRole.Owner => OwnerScopes,
        AdminRole.Admin => AdminsScopes,
        AdminRole.Billing => BillingScopes,
        AdminRole.Viewer => ViewerScopes,
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, "No such role."),
    };

    /// <summary>As the contract writes it: <c>owner</c>.</summary>
    public static string Name(this AdminRole role) => role switch
    {
        AdminRole.Owner => "owner",
        AdminRole.Admin => "admin",
        AdminRole.Billing => "billing",
        AdminRole.Viewer => "viewer",
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, "No such role."),
    };

    /// <returns>Null for a name that is no role.</returns>
    public static AdminRole? Parse(string name) =>
        Enum.GetValues<AdminRole>().Cast<AdminRole?>().FirstOrDefault(role => role!.Value.Name() == name);
}

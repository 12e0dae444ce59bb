namespace Dvara.Server.Hosting.AdminApi;

/// <summary>Every scope there is: <c>&lt;resource&gt;:read</c> and <c>&lt;resource&gt;:write</c>. A route that asks for another one does not start.</summary>
internal static class AdminScopes
{
    public static readonly IReadOnlyList<string> All =
    [
        "audit:read",
        "budgets:read", "budgets:write",
        "chargeback:read", "chargeback:write",
        "costs:read", "costs:write",
        "journals:read", "journals:write",
        "keys:read", "keys:write",
        "metrics:read",
        "pricing:read", "pricing:write",
        "tenants:read", "tenants:write",
        "tokens:read", "tokens:write",
    ];
}

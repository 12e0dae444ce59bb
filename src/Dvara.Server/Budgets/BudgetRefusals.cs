using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Budgets;

/// <summary>Says in words why a budget cannot be made or changed as asked.</summary>
internal static class BudgetRefusals
{
    /// <summary>Of a foreign tenant as of an unknown one.</summary>
    public static readonly FieldError NoSuchTenant = new("tenantId", "No such tenant.");

    public static ApiError NotFound() => ApiError.NotFound("budget");

    public static ApiError Platforms() => new(
        StatusCodes.Status403Forbidden, "permission_error", "missing_scope",
        "This admin token is narrowed to a tenant; a budget that the platform has set for it needs one that is not.");

    public static ApiError LedgerBehind() => new(
        StatusCodes.Status503ServiceUnavailable, "server_error", "ledger_unavailable",
        "The ledger does not have all charges yet, which the budget would have to count. No budget was made; try again.");

    public static ApiError TenantClosed() => ApiError.Validation("tenantId", "The tenant is closed; nothing is spent there any more.");

    /// <summary>Of a key of another tenant as of an unknown one.</summary>
    public static ApiError NoSuchKey() => ApiError.Validation("apiKeyId", "The tenant has no such API key.");

    public static ApiError AboveCeiling(Usd ceiling, CapPeriod period) => ApiError.Validation(
        "limitUsd", $"limitUsd is at most {ceiling}: the platform allows the tenant no more in a {period.ContractName()} budget.");
}

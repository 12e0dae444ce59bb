namespace Dvara.Server.Audit;

/// <summary>Every type of event there is, as the contract spells them.</summary>
internal static class AuditTypes
{
    /// <summary>A request with a known key: derived from the ledger where it became a call, otherwise an event of its own.</summary>
    public const string GatewayRequest = "GATEWAY_REQUEST";

    /// <summary>Another name of <see cref="GatewayRequest"/> in filters.</summary>
    public const string GatewayResponse = "GATEWAY_RESPONSE";

    /// <summary>More requests came at once than could be noted; the payload has how many.</summary>
    public const string RequestsLost = "GATEWAY_REQUESTS_LOST";

    public const string TenantCreated = "TENANT_CREATED";
    public const string TenantUpdated = "TENANT_UPDATED";
    public const string TenantClosed = "TENANT_CLOSED";

    public const string ApiKeyCreated = "API_KEY_CREATED";
    public const string ApiKeyImported = "API_KEY_IMPORTED";
    public const string ApiKeyUpdated = "API_KEY_UPDATED";
    public const string ApiKeyRevoked = "API_KEY_REVOKED";
    public const string ApiKeyRotated = "API_KEY_ROTATED";

    public const string AdminTokenCreated = "ADMIN_TOKEN_CREATED";
    public const string AdminTokenDeleted = "ADMIN_TOKEN_DELETED";

    public const string PricingUpdated = "PRICING_UPDATED";

    public const string BudgetCreated = "BUDGET_CREATED";
    public const string BudgetUpdated = "BUDGET_UPDATED";
    public const string BudgetDeleted = "BUDGET_DELETED";

    /// <summary>A budget's spend has reached its soft percentage; once per period and arm.</summary>
    public const string BudgetCapSoft = "BUDGET_CAP_SOFT";

    /// <summary>A budget's spend has reached its limit, or a call was refused for good; once per period and arm.</summary>
    public const string BudgetCapHard = "BUDGET_CAP_HARD";

    /// <summary>A charge of unknown outcome was settled by an admin.</summary>
    public const string ChargeResolved = "CHARGE_RESOLVED";

    /// <summary>What was granted to the journal of a silo that is gone was given back to its caps.</summary>
    public const string JournalWrittenOff = "JOURNAL_WRITTEN_OFF";

    public const string ChargebackGenerated = "CHARGEBACK_GENERATED";

    /// <summary>A statement was ordered whose figures could not be put together.</summary>
    public const string ChargebackFailed = "CHARGEBACK_FAILED";

    public static readonly IReadOnlyList<string> All =
    [
        GatewayRequest, GatewayResponse, RequestsLost, TenantCreated, TenantUpdated, TenantClosed, ApiKeyCreated, ApiKeyImported, ApiKeyUpdated,
        ApiKeyRevoked, ApiKeyRotated, AdminTokenCreated, AdminTokenDeleted, PricingUpdated, BudgetCreated, BudgetUpdated,
        BudgetDeleted, BudgetCapSoft, BudgetCapHard, ChargeResolved, JournalWrittenOff, ChargebackGenerated, ChargebackFailed,
    ];
}

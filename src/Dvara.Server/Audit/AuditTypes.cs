namespace Dvara.Server.Audit;

/// <summary>Types that Audit itself knows; every slice names its own beside these.</summary>
internal static class AuditTypes
{
    /// <summary>A request with a known key: derived from the ledger where it reached a provider, an event of its own where it was refused.</summary>
    public const string GatewayRequest = "GATEWAY_REQUEST";

    /// <summary>Another name of <see cref="GatewayRequest"/> in filters.</summary>
    public const string GatewayResponse = "GATEWAY_RESPONSE";

    /// <summary>More requests were refused at once than could be noted; the payload has how many.</summary>
    public const string RefusalsLost = "GATEWAY_REFUSALS_LOST";
}

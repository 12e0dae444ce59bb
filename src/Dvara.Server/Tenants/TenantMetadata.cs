using System.Text.RegularExpressions;

namespace Dvara.Server.Tenants;

/// <summary>
/// The metadata keys that Dvara gives a meaning. Their values are checked when they are written, so that whoever reads them later, on the
/// request path, need not decide what a wrong one means.
/// </summary>
internal static partial class TenantMetadata
{
    /// <summary><c>allow</c> (where absent) or <c>block</c>: what becomes of a call to a model without a price.</summary>
    public const string UnpricedPolicy = "cost.unpriced-policy";

    /// <summary>Dollars that one call may cost at most: a plain decimal, at most 9 digits before the point and 12 behind it.</summary>
    public const string MaxPerCallUsd = "cost.max-per-call-usd";

    /// <summary>Percent above the usual spend from which a day counts as an anomaly: a plain decimal above zero.</summary>
    public const string AnomalyThresholdPct = "cost.anomaly-threshold-pct";

    /// <summary><c>shared</c> (where absent) or <c>strict</c>: whether the platform's provider credentials serve the tenant too.</summary>
    public const string Byok = "credentials.byok";

    /// <returns>What is wrong with the value, or null; always null for a key without a meaning.</returns>
    public static string? Problem(string key, string value) => key switch
    {
        UnpricedPolicy when value is not ("allow" or "block") => "must be allow or block.",
        MaxPerCallUsd when !Amount().IsMatch(value) => "must be a plain decimal from 0 to 999999999 with at most 12 decimals, such as 0.25.",
        AnomalyThresholdPct when !Percentage().IsMatch(value) => "must be a plain decimal above 0 and below 1000000 with at most 6 decimals, such as 50.",
        Byok when value is not ("shared" or "strict") => "must be shared or strict.",
        _ => null,
    };

    // \z, not $: that would let a line feed pass at the end. [0-9], not \d: that would let digits of other scripts pass.
    [GeneratedRegex(@"^[0-9]{1,9}(\.[0-9]{1,12})?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Amount();

    [GeneratedRegex(@"^(?=.*[1-9])[0-9]{1,6}(\.[0-9]{1,6})?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Percentage();
}

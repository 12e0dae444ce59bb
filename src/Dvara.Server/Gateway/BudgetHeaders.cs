using System.Globalization;
using Dvara.Server.Budgets;

namespace Dvara.Server.Gateway;

/// <summary>What an answer says of the tenant's own cap of which least is left, as this silo last read it.</summary>
internal static class BudgetHeaders
{
    private const string Remaining = "X-Budget-Remaining-Usd";
    private const string Limit = "X-Budget-Limit-Usd";
    private const string Reset = "X-Budget-Reset";

    public static void Write(IHeaderDictionary headers, Hold hold)
    {
        if (hold.OutputLimit is { } tokens)
        {
            headers["X-Dvara-Max-Output-Tokens"] = tokens.ToString(CultureInfo.InvariantCulture);
        }

        if (hold.Tightest is { } tightest)
        {
            var known = tightest.Known;
            headers[Remaining] = known.RemainingText;
            headers[Limit] = known.LimitText;
            headers[Reset] = tightest.ResetsAt;
        }
    }

    public static IEnumerable<(string Name, string Value)> Of(CapLease lease, KnownFigures known) =>
    [
        (Remaining, known.RemainingText),
        (Limit, known.LimitText),
        (Reset, lease.ResetsAt),
    ];
}

using System.Globalization;
using Dvara.Server.Budgets;

namespace Dvara.Server.Gateway;

/// <summary>What an answer says of the tenant's own cap of which least is left, as this silo last read it.</summary>
internal static class BudgetHeaders
{
    public static void Write(IHeaderDictionary headers, Hold hold)
    {
        if (hold.OutputLimit is { } limit)
        {
            headers["X-Dvara-Max-Output-Tokens"] = limit.ToString(CultureInfo.InvariantCulture);
        }

        if (hold.Tightest is { } tightest)
        {
            foreach (var (name, value) in Of(tightest))
            {
                headers[name] = value;
            }
        }
    }

    public static IEnumerable<(string Name, string Value)> Of(CapLease lease) =>
    [
        ("X-Budget-Remaining-Usd", lease.Known.Remaining.ToString()),
        ("X-Budget-Limit-Usd", lease.Known.Limit.ToString()),
        ("X-Budget-Reset", lease.Period.To.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture)),
    ];
}

using Dvara.Domain.Budgets;
using Dvara.Server.Hosting;

namespace Dvara.Server.Budgets;

/// <summary>What the audit trail says of budgets that somebody makes, changes and deletes.</summary>
internal static class BudgetAudit
{
    public static object Facts(Cap cap) => Facts(cap, []);

    /// <summary>The budget as it became; as it was, the event before this one says.</summary>
    public static object Facts(Cap before, Cap next) => Facts(next, ChangesTo(before, next));

    private static object Facts(Cap cap, IReadOnlyList<string> changed) => new
    {
        budgetId = cap.Id,
        cap.Name,
        cap.TenantId,
        apiKeyId = cap.Key?.Named,
        cap.Tag,
        cap.Model,
        period = cap.Period.ContractName(),
        cap.TimeZone,
        limitUsd = cap.Limit,
        softLimitPct = cap.SoftPct,
        cap.Enabled,
        mode = cap.Mode.ContractName(),
        onShortfall = cap.OnShortfall.ContractName(),
        cap.AssumedMaxOutputTokens,
        cap.HoldWaitMs,
        provenance = cap.Provenance.ContractName(),
        changed,
    };

    /// <summary>The fields, by their names in the API, in which <paramref name="next"/> differs.</summary>
    private static IReadOnlyList<string> ChangesTo(Cap before, Cap next)
    {
        (string Field, bool Same)[] fields =
        [
            ("name", before.Name == next.Name),
            ("limitUsd", before.Limit == next.Limit),
            ("softLimitPct", before.SoftPct == next.SoftPct),
            ("enabled", before.Enabled == next.Enabled),
            ("mode", before.Mode == next.Mode),
            ("onShortfall", before.OnShortfall == next.OnShortfall),
            ("assumedMaxOutputTokens", before.AssumedMaxOutputTokens == next.AssumedMaxOutputTokens),
            ("holdWaitMs", before.HoldWaitMs == next.HoldWaitMs),
        ];
        return [.. fields.Where(field => !field.Same).Select(field => field.Field)];
    }
}

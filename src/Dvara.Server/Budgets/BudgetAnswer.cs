using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Time;
using Dvara.Server.Hosting;

namespace Dvara.Server.Budgets;

/// <summary>A cap as the API shows it.</summary>
internal sealed record BudgetAnswer(
    CapId Id,
    TenantId? TenantId,
    ApiKeyId? ApiKeyId,
    CapTag? Tag,
    string? Model,
    string Name,
    string Period,
    Usd LimitUsd,
    int? SoftLimitPct,
    bool Enabled,
    string Mode,
    string OnShortfall,
    long AssumedMaxOutputTokens,
    int HoldWaitMs,
    string TimeZone,
    string Provenance,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt)
{
    public static BudgetAnswer Of(Cap cap) => new(
        cap.Id,
        cap.TenantId,
        cap.Key?.Named,
        cap.Tag,
        cap.Model,
        cap.Name,
        cap.Period.ContractName(),
        cap.Limit,
        cap.SoftPct,
        cap.Enabled,
        cap.Mode.ContractName(),
        cap.OnShortfall.ContractName(),
        cap.AssumedMaxOutputTokens,
        cap.HoldWaitMs,
        cap.TimeZone,
        cap.Provenance.ContractName(),
        cap.CreatedAt,
        cap.UpdatedAt);
}

/// <summary>What the current period has used, as the API shows it.</summary>
internal sealed record UsageAnswer(
    Usd LimitUsd,
    Usd SpentUsd,
    Usd HeldUsd,
    Usd ExposureUsd,
    Usd OverrunUsd,
    OverrunAnswer Overrun,
    Usd OverrunBoundUsd,
    Usd RemainingUsd,
    decimal? UsedPct,
    string State,
    DateTimeOffset PeriodStart,
    DateTimeOffset ResetsAt,
    Int128 RequestCount,
    Int128 BlockedCount)
{
    public static UsageAnswer Of(Cap cap, CapUse use, TimeWindow period) => new(
        use.Figures.Limit,
        use.Figures.Spent,
        use.Figures.Held,
        use.Figures.Exposure,
        use.Overrun.Total,
        new(use.Overrun.AboveBound, use.Overrun.Late, use.Overrun.Corrected, use.Overrun.LimitLowered),
        use.OverrunBound,
        use.Figures.Remaining,
        CapUse.PercentOf(use.Figures.Spent, cap.Limit),
        use.State.ContractName(),
        period.From,
        period.To,
        use.Requests,
        use.Refused);
}

/// <summary>The causes of an overrun; they add up to it.</summary>
internal sealed record OverrunAnswer(Usd AboveBoundUsd, Usd LateUsd, Usd CorrectionUsd, Usd LimitLoweredUsd);

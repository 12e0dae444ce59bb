using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Server.Budgets;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Gateway;

/// <summary>What a caller is told where no money could be set aside. Of a cap without a tenant it learns neither name nor amount.</summary>
internal sealed class HoldRefusals(BudgetOptions options)
{
    private const string Type = "budget_exceeded";

    public ApiError Of(in HoldDecision decision, AdmittedCall call) => decision.Refusal switch
    {
        HoldRefusal.Unavailable => GatewayErrors.BudgetUnavailable,
        HoldRefusal.Unpriced => GatewayErrors.UnpricedUnderCap(call.Route.Provider.Id, call.Route.Model),
        HoldRefusal.PerCall => new(options.RefusalStatus, Type, "PER_CALL_COST_EXCEEDED",
            "The call can cost more than the tenant allows of a single one (cost.max-per-call-usd). Ask for less output, or send less.")
        {
            Headers = [("x-should-retry", "false")],
        },
        var refusal => Exceeded(decision.Cap!, refusal),
    };

    private ApiError Exceeded(CapLease lease, HoldRefusal? refusal)
    {
        var (cap, known, isRetryable) = (lease.Cap, lease.Known, refusal == HoldRefusal.Held);
        var isPlatform = cap.TenantId is null;
        var what = isPlatform ? "The platform's budget" : $"The budget {cap.Name} ({cap.ScopeName()}, {cap.Period.ContractName()}, {cap.Limit} USD)";
        var message = refusal switch
        {
            HoldRefusal.Held => $"{what} is held by calls in flight; try again in a moment.",
            // Said of the platform's, it would tell of its amount.
            HoldRefusal.TooLarge when !isPlatform => $"{what} never covers this call, which alone may cost more than the whole limit. Ask for less output, or send less.",
            _ => $"{what} does not cover this call; it is renewed at {lease.ResetsAt}.",
        } + (isPlatform ? "" : StandingOf(known.Figures));
        return new(options.RefusalStatus, Type, "BUDGET_CAP_HARD", message)
        {
            Budget = isPlatform ? new { scope = "platform", resetsAt = lease.Period.To, retryable = isRetryable } : Whole(lease, known.Figures, isRetryable),
            Headers =
            [
                ("x-should-retry", isRetryable ? "true" : "false"),
                .. isRetryable ? [("Retry-After", "1")] : Array.Empty<(string, string)>(),
                .. isPlatform ? [] : BudgetHeaders.Of(lease, known),
            ],
        };
    }

    /// <summary>What the body has no members for: why less can be had than the limit less what is spent.</summary>
    private static string StandingOf(in CapFigures known) =>
        (known.Held > Usd.Zero ? $" {known.Held} USD of the budget are held for calls that run or are expected." : "")
        + (known.Exposure > Usd.Zero ? $" {known.Exposure} USD of the budget are kept for calls that may still be billed." : "");

    private static object Whole(CapLease lease, in CapFigures known, bool isRetryable) => new
    {
        id = lease.Cap.Id,
        name = lease.Cap.Name,
        scope = lease.Cap.ScopeName(),
        period = lease.Cap.Period.ContractName(),
        limitUsd = known.Limit,
        spentUsd = known.Spent,
        remainingUsd = known.Remaining,
        resetsAt = lease.Period.To,
        retryable = isRetryable,
    };
}

using Dvara.Domain;
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
        var (cap, isRetryable) = (lease.Cap, refusal == HoldRefusal.Held);
        var isPlatform = cap.TenantId is null;
        var what = isPlatform ? "The platform's budget" : $"The budget {cap.Name} ({cap.ScopeName()}, {cap.Period.ContractName()}, {cap.Limit} USD)";
        var message = refusal switch
        {
            HoldRefusal.Held => $"{what} is held by calls in flight; try again in a moment.",
            // Said of the platform's, it would tell of its amount.
            HoldRefusal.Outgrown when !isPlatform => $"{what} never covers this call, which alone may cost more than the whole limit. Ask for less output, or send less.",
            _ => $"{what} does not cover this call; it is renewed at {lease.ResetsAt}.",
        };
        return new(options.RefusalStatus, Type, "BUDGET_CAP_HARD", message)
        {
            Budget = isPlatform ? new Shown { Scope = "platform", ResetsAt = lease.Period.To, Retryable = isRetryable } : Whole(lease, isRetryable),
            Headers =
            [
                ("x-should-retry", isRetryable ? "true" : "false"),
                .. isRetryable ? [("Retry-After", "1")] : Array.Empty<(string, string)>(),
                .. isPlatform ? [] : BudgetHeaders.Of(lease),
            ],
        };
    }

    private static Shown Whole(CapLease lease, bool isRetryable) => new()
    {
        Id = lease.Cap.Id,
        Name = lease.Cap.Name,
        Scope = lease.Cap.ScopeName(),
        Period = lease.Cap.Period.ContractName(),
        LimitUsd = lease.Known.Limit,
        SpentUsd = lease.Known.Spent,
        RemainingUsd = lease.Known.Remaining,
        ResetsAt = lease.Period.To,
        Retryable = isRetryable,
    };

    private sealed record Shown
    {
        public CapId? Id { get; init; }

        public string? Name { get; init; }

        public required string Scope { get; init; }

        public string? Period { get; init; }

        public Usd? LimitUsd { get; init; }

        public Usd? SpentUsd { get; init; }

        public Usd? RemainingUsd { get; init; }

        public required DateTimeOffset ResetsAt { get; init; }

        public required bool Retryable { get; init; }
    }
}

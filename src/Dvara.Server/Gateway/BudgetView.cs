using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Time;
using Dvara.Server.ApiKeys;
using Dvara.Server.Budgets;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Gateway;

/// <summary>
/// What a key may know of budgets: those that cover its calls (GET /v1/budget), and what a call would cost and find (POST
/// /v1/budget/estimate). Of a cap without a tenant it learns neither name nor amount.
/// </summary>
internal sealed class BudgetView(BudgetsOfKey budgets, BudgetGate gate, Bounds bounds, TimeProvider clock)
{
    public async ValueTask<IResult> ListAsync(ApiKeyIdentity caller, CancellationToken cancellationToken)
    {
        var found = await budgets.ReadAsync(new(caller.TenantId), new(caller.KeyId), cancellationToken);
        return Results.Json(new { @object = "list", data = found.Select(entry => Of(entry.Cap, entry.Period, entry.Use)) }, AdminJson.Options);
    }

    /// <summary>Dispatches nothing and sets nothing aside.</summary>
    public async ValueTask<IResult> EstimateAsync(AdmittedCall call, CancellationToken cancellationToken)
    {
        var request = bounds.Of(call);
        var matching = gate.Match(request.Scope, clock.GetUtcNow()).Select(lease => lease.Cap.Id).ToHashSet();
        var found = (await budgets.ReadAsync(request.Scope.TenantId, request.Scope.ApiKeyId, cancellationToken))
            .Where(entry => matching.Contains(entry.Cap.Id)).ToList();
        var terms = request.Bound is { } bound ? Terms.Of(request, bound, [.. found.Select(entry => entry.Cap)]) : (Terms?)null;
        return Results.Json(
            new
            {
                @object = "budget.estimate",
                model = call.Facts.Model,
                provider = call.Route.Provider.Id,
                priced = request.IsPriced,
                // The most it can cost: the whole input at the dearest rate, and the output limit that would hold.
                inputCostUsd = request.Bound?.Fixed,
                maxOutputTokens = terms?.SentLimit ?? request.OutputLimit,
                maxCostUsd = terms?.Full,
                perCallMaxUsd = request.PerCallMax,
                admitted = (terms?.Least ?? Usd.Zero) is var least && found.TrueForAll(entry => Fits(entry.Cap, entry.Use, least))
                    && !(request.PerCallMax < least) && (terms is not null || matching.Count == 0),
                budgets = found.Select(entry => Of(entry.Cap, entry.Period, entry.Use)),
            },
            AdminJson.Options);
    }

    private static bool Fits(Cap cap, CapUse use, Usd least) =>
        cap.Limit > Usd.Zero && (cap.Mode == CapMode.Elastic ? use.Remaining > Usd.Zero : least <= use.Remaining);

    private static object Of(Cap cap, TimeWindow period, CapUse use) => cap.TenantId is null
        ? new { scope = "platform", period = cap.Period.ContractName(), state = use.State.ContractName(), resetsAt = period.To }
        : new
        {
            id = cap.Id,
            name = cap.Name,
            scope = cap.ScopeName(),
            period = cap.Period.ContractName(),
            limitUsd = cap.Limit,
            spentUsd = use.Spent,
            heldUsd = use.Held,
            exposureUsd = use.Exposure,
            remainingUsd = use.Remaining,
            state = use.State.ContractName(),
            periodStart = period.From,
            resetsAt = period.To,
        };
}

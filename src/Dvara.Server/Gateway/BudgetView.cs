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
        var found = await budgets.ReadAsync(new(caller.TenantId), caller.Line, cancellationToken);
        return Results.Json(new { @object = "list", data = found.Select(entry => Of(entry.Cap, entry.Period, entry.Use)) }, AdminJson.Options);
    }

    /// <summary>Dispatches nothing and sets nothing aside.</summary>
    public async ValueTask<IResult> EstimateAsync(AdmittedCall call, CancellationToken cancellationToken)
    {
        var request = bounds.Of(call);
        var leases = gate.Match(request.Scope, clock.GetUtcNow()).ToDictionary(lease => lease.Cap.Id);
        var found = (await budgets.ReadAsync(request.Scope.TenantId, request.Scope.KeyLine, cancellationToken))
            .Where(entry => leases.ContainsKey(entry.Cap.Id)).ToList();
        var room = found.Select(entry => RoomOf(entry.Cap, entry.Use, leases[entry.Cap.Id])).Append(request.PerCallMax).Min();
        Cap[] caps = [.. found.Select(entry => entry.Cap)];
        var terms = request.Bound is { } bound ? Terms.Of(request, bound, caps) : (Terms?)null;
        if (terms?.Full > room && request.Tighter is { } count)
        {
            terms = Terms.Of(request, count(), caps);
        }

        var fitting = terms is { } known && room is { } most ? known.Within(most) : terms;
        var isOpen = found.TrueForAll(entry => entry.Cap.Limit > Usd.Zero);
        return Results.Json(
            new
            {
                @object = "budget.estimate",
                model = call.Facts.Model,
                provider = call.Route.Provider.Id,
                priced = request.IsPriced,
                // The most it can cost: the whole input at the dearest rate, and the output limit that would hold.
                inputCostUsd = terms?.Bound.Fixed,
                maxOutputTokens = (fitting ?? terms)?.SentLimit ?? request.OutputLimit,
                maxCostUsd = (fitting ?? terms)?.Full,
                perCallMaxUsd = request.PerCallMax,
                admitted = isOpen && (fitting is not null || (found.Count == 0 && request.PerCallMax is null)),
                budgets = found.Select(entry => Of(entry.Cap, entry.Period, entry.Use)),
            },
            AdminJson.Options);
    }

    /// <summary>What a cap has left, the free part of this silo's own lease included; null: an elastic one admits whatever costs more than that.</summary>
    private static Usd? RoomOf(Cap cap, CapUse use, CapLease lease)
    {
        var free = lease.Slice.Free is var own && own > Usd.Zero ? own : Usd.Zero;
        var room = use.Figures.Remaining + free;
        return cap.Mode == CapMode.Elastic && room > Usd.Zero ? null : room;
    }

    private static object Of(Cap cap, TimeWindow period, CapUse use) => cap.TenantId is null
        ? new { scope = "platform", period = cap.Period.ContractName(), state = use.State.ContractName(), resetsAt = period.To }
        : new
        {
            id = cap.Id,
            name = cap.Name,
            scope = cap.ScopeName(),
            period = cap.Period.ContractName(),
            limitUsd = use.Figures.Limit,
            spentUsd = use.Figures.Spent,
            heldUsd = use.Figures.Held,
            exposureUsd = use.Figures.Exposure,
            remainingUsd = use.Figures.Remaining,
            state = use.State.ContractName(),
            periodStart = period.From,
            resetsAt = period.To,
        };
}

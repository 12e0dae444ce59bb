using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Metering;
using Dvara.Server.Pricing;

namespace Dvara.Server.Costs;

/// <summary>
/// Settles charges of unknown outcome, each once. Two admins may settle one at the same time, at two silos: both write the same revision,
/// of which the ledger takes the first and drops the other without a word. So the answer waits for the ledger and looks whose it has.
/// </summary>
internal sealed class Resolutions(CostsStore store, Journal journal, LedgerWriter ledger, PriceBookState prices)
{
    /// <summary>Order of precedence: the ledger is behind, unknown, settled already.</summary>
    /// <returns>The line as it became, or why not.</returns>
    public async Task<(CostLine? Line, ApiError? Refusal)> ResolveAsync(
        AttemptId attempt, ResolutionOrder order, AdminActor admin, CancellationToken cancellationToken)
    {
        // A resolution that this journal still holds must be seen, or the next one would be written over it.
        if (!journal.Admits || !await ledger.TryFlushAsync(cancellationToken: cancellationToken))
        {
            return (null, Behind("The ledger does not have all charges yet, so nothing was settled. Try again."));
        }

        var rows = await store.FindWholeAsync(attempt, cancellationToken);
        if (rows.Count == 0 || !admin.MaySee(rows[0].TenantId))
        {
            return (null, ApiError.NotFound("charge"));
        }

        var isSettled = rows[^1].State != ChargeState.Unresolved;
        if (isSettled && !IsOfThisCall(rows[^1], order))
        {
            return (null, Settled(rows));
        }

        Charge revision;
        try
        {
            revision = RevisionOf(isSettled ? [.. rows.SkipLast(1)] : rows, order);
        }
        catch (OverflowException)
        {
            return (null, ApiError.Validation("inputTokens", "At the price of these tokens the charge would be more than a row of the ledger holds."));
        }

        if (isSettled)
        {
            var same = (revision.State, revision.Usage) == (rows[^1].State, rows[^1].ToCharge().Usage);
            return same ? (CostLine.Of(rows), null) : (null, Settled(rows));
        }

        return await WriteAsync(revision, cancellationToken);
    }

    private async Task<(CostLine? Line, ApiError? Refusal)> WriteAsync(Charge revision, CancellationToken cancellationToken)
    {
        long place;
        try
        {
            place = await journal.SettleAsync(revision);
        }
        catch (JournalUnavailableException)
        {
            return (null, Behind("This node is stopping, so nothing was settled. Try again."));
        }

        if (!await ledger.TryFlushAsync(cancellationToken: cancellationToken))
        {
            return (null, Behind("The resolution is kept and will be in the ledger as soon as it can be written. Read the charge then."));
        }

        var rows = await store.FindWholeAsync(revision.Intent.AttemptId, cancellationToken);
        var row = rows.FirstOrDefault(row => row.Revision == revision.Revision)
            ?? throw new InvalidOperationException($"The ledger refused revision {revision.Revision} of attempt {revision.Intent.AttemptId}; it is in quarantine.");
        return (row.JournalId, row.JournalSeq) == (journal.Id, place) ? (CostLine.Of(rows), null) : (null, Settled(rows));
    }

    /// <summary>
    /// The call has settled the charge before, under its Idempotency-Key, and its answer was lost: with a process, or because the ledger
    /// was late. Answers that were given are kept elsewhere and do not come here.
    /// </summary>
    private static bool IsOfThisCall(ResolutionRow row, ResolutionOrder order) =>
        row.Kind == RevisionKind.Resolution && order.IdempotencyKey is not null && row.IdempotencyKey == order.IdempotencyKey;

    /// <exception cref="OverflowException">The amount does not fit a row.</exception>
    private Charge RevisionOf(IReadOnlyList<ResolutionRow> rows, ResolutionOrder order)
    {
        var last = rows[^1].ToCharge();
        var intent = last.Intent with { IdempotencyKey = order.IdempotencyKey };
        var end = new AttemptEnd
        {
            ServedModel = last.ServedModel,
            LatencyMs = last.LatencyMs,
            Status = last.Status,
            Outcome = last.Outcome,
            ProviderRequestId = last.ProviderRequestId,
        };
        var truth = order.Usage is { } usage ? Charging.Settle(intent, end, usage, prices.Current) : Charging.Fail(intent, end);
        return Resolution.Of(truth, [.. rows.Select(row => row.ToCharge())]) with { Order = order.By };
    }

    private static ApiError Settled(IReadOnlyList<ResolutionRow> rows) =>
        ApiError.Conflict($"The charge is {rows[^1].State.ContractName()} by now; only one that is UNRESOLVED can be settled.");

    private static ApiError Behind(string message) => new(StatusCodes.Status503ServiceUnavailable, "server_error", "ledger_unavailable", message);
}

/// <summary>What an admin asks for.</summary>
/// <param name="Usage">What the provider billed; null: nothing.</param>
/// <param name="By">Who asks, and why.</param>
/// <param name="IdempotencyKey">The call's, or null.</param>
internal sealed record ResolutionOrder(TokenUsage? Usage, RevisionOrder By, string? IdempotencyKey);

using System.Data.Common;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Server.Storage;

namespace Dvara.Server.Budgets;

/// <summary>Answers asks for leases out of the database: one transaction for all that come together.</summary>
internal sealed class Lending(Database database, TimeProvider clock)
{
    /// <returns>The answers, in the order of the questions.</returns>
    public Task<LeaseAnswer[]> GrantAsync(IReadOnlyList<LeaseQuestion> questions, CancellationToken cancellationToken) =>
        database.WriteAsync(WriteLane.Grant, transaction => GrantAsync(transaction, questions), cancellationToken);

    /// <summary>Caps and periods first, then leases, then events, each in the order of ids: so two transactions never wait for each other.</summary>
    private async Task<LeaseAnswer[]> GrantAsync(DbTransaction transaction, IReadOnlyList<LeaseQuestion> questions)
    {
        var now = clock.GetUtcNow();
        List<int> inOrder = [.. Enumerable.Range(0, questions.Count).OrderBy(i => questions[i].Cap).ThenBy(i => questions[i].Start).ThenBy(i => questions[i].Journal)];
        var caps = new Dictionary<CapId, Cap?>();
        foreach (var id in inOrder.Select(i => questions[i].Key.Cap).Distinct())
        {
            // Shared, so that the limit stays in force until the grant is committed.
            caps[id] = await CapStore.LockAsync(transaction, id);
        }

        // A disabled cap grants nothing, and takes back.
        inOrder.RemoveAll(i => caps[questions[i].Key.Cap] is not { } cap || (!cap.Enabled && questions[i].Need > 0));
        var baselines = new Dictionary<(CapId, DateTimeOffset), Usd>();
        foreach (var question in inOrder.Select(i => questions[i]).DistinctBy(question => (question.Key.Cap, question.Start)))
        {
            baselines[(question.Key.Cap, question.Start)] =
                await LeaseStore.LockPeriodAsync(transaction, database.IsCluster, question.Key.Cap, question.Start, question.End);
        }

        var answers = new LeaseAnswer[questions.Count];
        Array.Fill(answers, LeaseAnswer.NotInForce);
        foreach (var i in inOrder)
        {
            var cap = caps[questions[i].Key.Cap]!;
            answers[i] = await GrantAsync(transaction, questions[i], cap, baselines[(cap.Id, questions[i].Start)], now);
        }

        var exhausted = inOrder.Where(i => answers[i].Outcome == GrantOutcome.Exhausted).Select(i => questions[i]);
        foreach (var refused in exhausted.GroupBy(question => (question.Key.Cap, question.Period)))
        {
            if (caps[refused.Key.Cap] is { Enabled: true } cap)
            {
                // The event is sent once; spent on this call, it would be missing when the limit really is near.
                var isReached = refused.Any(question => !cap.IsExceededBy(question.Ask.Least));
                await CapEvents.TellAsync(transaction, cap, refused.Key.Period, isReached, now);
            }
        }

        return answers;
    }

    private static async Task<LeaseAnswer> GrantAsync(DbTransaction transaction, LeaseQuestion question, Cap cap, Usd baseline, DateTimeOffset now)
    {
        var (state, outcome, isCovered, figures) = await LeaseStore.GrantAsync(transaction, cap, question.Key, baseline, question.Number, question.Ask, now);
        return new()
        {
            Outcome = outcome,
            Granted = state.Granted.ToRowPicoUsd(),
            Number = state.Number,
            Settled = state.Settled.ToRowPicoUsd(),
            Exposed = state.Exposed.ToRowPicoUsd(),
            ShippedThrough = state.ShippedThrough,
            Spent = Row(figures.Spent + figures.Exposure),
            Limit = cap.Limit.ToRowPicoUsd(),
            IsCovered = isCovered,
            PeriodHeld = Row(figures.Held),
            PeriodExposure = Row(figures.Exposure),
        };
    }

    private static long Row(Usd sum) => (long)Int128.Min(sum.PicoUsd, long.MaxValue);
}

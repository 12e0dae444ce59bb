using System.Data.Common;
using Dvara.Domain.Budgets;
using Dvara.Server.Storage;

namespace Dvara.Server.Budgets;

/// <summary>Answers asks for leases out of the database: one transaction for all that come together.</summary>
internal sealed class Lending(Database database, TimeProvider clock)
{
    /// <returns>The answers, in the order of the questions.</returns>
    public Task<LeaseAnswer[]> GrantAsync(IReadOnlyList<LeaseQuestion> questions, CancellationToken cancellationToken) => database.WriteAsync(
        WriteLane.Grant,
        async transaction =>
        {
            var answers = new LeaseAnswer[questions.Count];
            // In one order, so that two transactions over the same caps do not wait for each other.
            foreach (var i in Enumerable.Range(0, questions.Count).OrderBy(i => questions[i].Cap).ThenBy(i => questions[i].Start))
            {
                answers[i] = await GrantAsync(transaction, questions[i]);
            }

            return answers;
        },
        cancellationToken);

    private async Task<LeaseAnswer> GrantAsync(DbTransaction transaction, LeaseQuestion question)
    {
        // Shared, so that the limit stays in force until the grant is committed.
        if (await CapStore.FindInForceAsync(transaction, question.Key.Cap, database.IsCluster) is not { } cap)
        {
            return LeaseAnswer.NotInForce;
        }

        var now = clock.GetUtcNow();
        var (state, grant, isCovered) = await LeaseStore.GrantAsync(
            transaction, database.IsCluster, cap, question.Key, question.End, question.Number, question.Ask, now);
        if (grant.Outcome == GrantOutcome.Exhausted)
        {
            await CapEvents.TellAsync(transaction, cap, question.Period, refused: true, now);
        }

        return new()
        {
            Outcome = grant.Outcome,
            Granted = state.Granted.ToRowPicoUsd(),
            Number = state.Number,
            Settled = state.Settled.ToRowPicoUsd(),
            Exposed = state.Exposed.ToRowPicoUsd(),
            ShippedThrough = state.ShippedThrough,
            Spent = (long)Int128.Min(grant.Spent.PicoUsd, long.MaxValue),
            Limit = cap.Limit.ToRowPicoUsd(),
            IsCovered = isCovered,
        };
    }
}

using Orleans.Concurrency;
using Orleans.Placement;

namespace Dvara.Server.Budgets;

/// <summary>
/// Brokers a tenant's caps: asks that come while a transaction is under way share the next one. It decides nothing that the rows do not: a
/// second activation, or a silo that asks the database itself, cannot grant more.
/// </summary>
// Reentrant, so that asks can gather while one transaction runs.
[Reentrant, RandomPlacement]
internal sealed class TenantBudgetGrain(Lending lending) : Grain, ITenantBudgetGrain
{
    /// <summary>Asks of one transaction; more wait for the next.</summary>
    private const int BatchMax = 64;

    private readonly Queue<(LeaseQuestion Question, TaskCompletionSource<LeaseAnswer> Answer)> _waiting = new();
    private Task _answering = Task.CompletedTask;

    public Task<LeaseAnswer> GrantAsync(LeaseQuestion question)
    {
        var answer = new TaskCompletionSource<LeaseAnswer>();
        _waiting.Enqueue((question, answer));
        if (_answering.IsCompleted)
        {
            _answering = AnswerWaitingAsync();
        }

        return answer.Task;
    }

    private async Task AnswerWaitingAsync()
    {
        while (_waiting.Count > 0)
        {
            var batch = new List<(LeaseQuestion Question, TaskCompletionSource<LeaseAnswer> Answer)>();
            while (batch.Count < BatchMax && _waiting.TryDequeue(out var next))
            {
                batch.Add(next);
            }

            try
            {
                var answers = await lending.GrantAsync([.. batch.Select(asked => asked.Question)], CancellationToken.None);
                for (var i = 0; i < batch.Count; i++)
                {
                    batch[i].Answer.SetResult(answers[i]);
                }
            }
            catch (Exception exception)
            {
                // Handled by the silos that asked: they ask the database themselves, or refuse. Orleans does not carry a driver's own exceptions.
                batch.ForEach(asked => asked.Answer.SetException(new OrleansException(exception.Message)));
            }
        }
    }
}

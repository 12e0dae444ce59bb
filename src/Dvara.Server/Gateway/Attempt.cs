using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Providers;
using Dvara.Server.Metering;
using Dvara.Server.Pricing;

namespace Dvara.Server.Gateway;

/// <summary>
/// One call to one provider, from its intent to its charge. Whatever ends it settles it, and only the first end counts; the wait for
/// the journal is never cancelled, because the money is spent.
/// </summary>
internal sealed class Attempt(AdmittedCall call, Intent intent, Journal journal, Settlement settlement, PriceBookState prices, TimeProvider clock)
{
    private readonly long _started = clock.GetTimestamp();
    private int _ended;

    public AdmittedCall Call => call;

    public Intent Intent => intent;

    /// <summary>HTTP status of the provider, once there is one.</summary>
    public int? Status { get; set; }

    /// <summary>The provider's own id of the call, from its headers.</summary>
    public string? ProviderRequestId { get; set; }

    public bool Ended => Volatile.Read(ref _ended) == 1;

    /// <summary>The charge, once it is durable.</summary>
    public Charge? Charge { get; private set; }

    /// <summary>(4) Durable before anything leaves.</summary>
    /// <exception cref="JournalUnavailableException">It could not be noted; nothing may be dispatched.</exception>
    public Task NoteAsync(CancellationToken cancellationToken) => journal.NoteAsync(intent, cancellationToken);

    /// <summary>(6), (7) The answer is known: from its reported usage, or counted by ourselves.</summary>
    public Task SettleAsync(AnswerFacts facts, string? outcome) =>
        EndAsync(Charging.Settle(intent, EndOf(facts, outcome), facts.Usage ?? Estimate(facts), prices.Current));

    /// <summary>(7) The provider did nothing billable.</summary>
    public Task FailAsync(string outcome) => EndAsync(Charging.Fail(intent, EndOf(null, outcome)));

    /// <summary>(7) Nobody knows what the provider did; what it certainly received is the lower bound.</summary>
    /// <param name="outcome">One of <see cref="Outcomes"/>.</param>
    /// <param name="delivered">What of the answer came; null: nothing.</param>
    public Task UnresolveAsync(string outcome, AnswerFacts? delivered = null) =>
        EndAsync(Charging.Unresolve(intent, EndOf(delivered, outcome), Estimate(delivered), prices.Current));

    /// <summary>What an open stream has delivered so far; bounds what a crash leaves unknown.</summary>
    public Task CheckpointAsync(AnswerFacts soFar) => journal.CheckpointAsync(intent.AttemptId, soFar.Usage ?? Estimate(soFar));

    private async Task EndAsync(Charge charge)
    {
        if (Interlocked.Exchange(ref _ended, 1) == 1)
        {
            return;
        }

        await settlement.SettleAsync(charge);
        Charge = charge;
    }

    private AttemptEnd EndOf(AnswerFacts? facts, string? outcome) => new()
    {
        ServedModel = facts?.Model,
        LatencyMs = (long)clock.GetElapsedTime(_started).TotalMilliseconds,
        Status = Status,
        Outcome = outcome,
        ProviderRequestId = facts?.Id ?? ProviderRequestId,
    };

    private TokenUsage Estimate(AnswerFacts? facts) => new()
    {
        UncachedInput = TokenCounter.CountInput(intent.Model, call.Endpoint, call.Body.Span),
        Output = facts?.EstimatedOutputTokens,
        Source = UsageSource.Estimated,
    };
}

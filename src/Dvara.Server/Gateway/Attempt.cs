using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Providers;
using Dvara.Server.Budgets;
using Dvara.Server.Metering;
using Dvara.Server.Pricing;

namespace Dvara.Server.Gateway;

/// <summary>
/// One call to one provider, from its intent to its charge. Whatever ends it settles it, and only the first end counts; the wait for
/// the journal is never cancelled, because the money is spent.
/// </summary>
internal sealed partial class Attempt(
    AdmittedCall call, Intent intent, Hold hold, Journal journal, Settlement settlement, PriceBookState prices, TimeProvider clock, ILogger<Attempt> logger)
{
    private readonly long _started = clock.GetTimestamp();
    private int _ended;
    private long? _inputTokens;

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
        EndAsync(Charging.Settle(intent, EndOf(facts, outcome), facts.Usage ?? Estimate(facts), prices.Current), facts);

    /// <summary>(7) The provider did nothing billable.</summary>
    public Task FailAsync(string outcome) => EndAsync(Charging.Fail(intent, EndOf(null, outcome)));

    /// <summary>(7) Nobody knows what the provider did; what it certainly received is the lower bound.</summary>
    /// <param name="outcome">One of <see cref="Outcomes"/>.</param>
    /// <param name="delivered">What of the answer came; null: nothing.</param>
    public Task UnresolveAsync(string outcome, AnswerFacts? delivered = null) =>
        EndAsync(Charging.Unresolve(intent, EndOf(delivered, outcome), Estimate(delivered), prices.Current), delivered);

    /// <summary>(7) The gateway itself failed. Neither meter nor tokenizer is asked again: one of them may be what failed.</summary>
    /// <param name="failure">What went wrong, where that is known; logged here and nowhere else.</param>
    public Task GiveUpAsync(Exception? failure)
    {
        LogGivenUp(logger, failure, intent.AttemptId, intent.RequestId);
        return EndAsync(Charging.Unresolve(intent, EndOf(null, Outcomes.InternalError), Estimate(intent.EstimatedInputTokens, null), prices.Current));
    }

    /// <summary>What an open stream has delivered so far; bounds what a crash leaves unknown.</summary>
    /// <remarks>With the note's own estimate of the input: to count a long request while its answer streams would hold the answer up.</remarks>
    public Task CheckpointAsync(AnswerFacts soFar) =>
        journal.CheckpointAsync(intent.AttemptId, soFar.Usage ?? Estimate(intent.EstimatedInputTokens, soFar));

    private async Task EndAsync(Charge charge, AnswerFacts? facts = null)
    {
        if (Interlocked.Exchange(ref _ended, 1) == 1)
        {
            return;
        }

        if (facts is { UsageRefused: true })
        {
            LogUsageRefused(logger, intent.AttemptId, intent.Provider, intent.Model);
        }
        else if (facts is { UsageClamped: true })
        {
            LogUsageClamped(logger, intent.AttemptId, intent.Provider, intent.Model);
        }

        var place = await settlement.SettleAsync(charge);
        hold.End(charge, place);
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

    private TokenUsage Estimate(AnswerFacts? facts) =>
        Estimate(_inputTokens ??= TokenCounter.CountInput(intent.Model, call.Endpoint, call.Body.Span), facts);

    private static TokenUsage Estimate(long? inputTokens, AnswerFacts? facts) => new()
    {
        UncachedInput = inputTokens,
        Output = facts?.EstimatedOutputTokens,
        Source = UsageSource.Estimated,
    };

    [LoggerMessage(1, LogLevel.Error, "Attempt {Attempt} of request {Request} ended in a failure of the gateway itself.")]
    private static partial void LogGivenUp(ILogger logger, Exception? exception, AttemptId attempt, RequestId request);

    [LoggerMessage(2, LogLevel.Warning, "Attempt {Attempt}: {Provider} reported a usage of {Model} that cannot be; it is not charged by it.")]
    private static partial void LogUsageRefused(ILogger logger, AttemptId attempt, string provider, string model);

    [LoggerMessage(3, LogLevel.Warning, "Attempt {Attempt}: {Provider} reported a usage of {Model} whose parts exceed their whole; they were cut to it.")]
    private static partial void LogUsageClamped(ILogger logger, AttemptId attempt, string provider, string model);
}

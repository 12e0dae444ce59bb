using Dvara.Domain.Pricing;

namespace Dvara.Domain.Metering;

/// <summary>What is known of an attempt's end.</summary>
public enum ChargeState
{
    /// <summary>Priced from usage that the provider reported.</summary>
    Settled,

    /// <summary>Priced from our own count: the provider reported none, or the answer was cut.</summary>
    Estimated,

    /// <summary>Usage is known and no price is: amount 0, tokens kept, alarmed, re-rated when a price arrives.</summary>
    Unpriced,

    /// <summary>The outcome is unknown (timeout or reset after sending, a process died): amount 0, a lower bound kept apart.</summary>
    Unresolved,

    /// <summary>The provider did nothing billable (no connection, 4xx, 429, 5xx without usage): amount 0, no tokens.</summary>
    Failed,
}

/// <summary>Why a revision exists. The first row of an attempt is always <see cref="Original"/>.</summary>
public enum RevisionKind
{
    Original,
    Reprice,
    Resolution,
    Correction,
}

/// <summary>
/// Who asked for a revision. Travels with it through the journal, so that the event that tells of it is written in the transaction of its
/// row, whichever process ships it.
/// </summary>
/// <param name="Actor">The admin token's id.</param>
/// <param name="RequestId">Of the admin's call.</param>
/// <param name="At">When it was asked for.</param>
/// <param name="Note">Why, in the admin's words.</param>
public sealed record RevisionOrder(string Actor, RequestId RequestId, DateTimeOffset At, string? Note);

/// <summary>
/// What is known of an attempt before its dispatch: the durable note that it is about to happen. Immutable; a charge repeats it, so
/// that a ledger row can be read alone.
/// </summary>
public sealed record Intent
{
    public required AttemptId AttemptId { get; init; }

    public required RequestId RequestId { get; init; }

    /// <summary>1 for the first call of a request, then counting fallbacks and retries.</summary>
    public required int Attempt { get; init; }

    public required TenantId TenantId { get; init; }

    public required ApiKeyId ApiKeyId { get; init; }

    public required string Provider { get; init; }

    /// <summary>The model as sent to the provider, without prefix.</summary>
    public required string Model { get; init; }

    /// <summary>The model as the client wrote it.</summary>
    public required string RequestedModel { get; init; }

    /// <summary>The contract's path, for example <c>/v1/chat/completions</c>.</summary>
    public required string Endpoint { get; init; }

    public required bool Stream { get; init; }

    /// <summary>Merged tags: key to value, in the spelling first seen.</summary>
    public IReadOnlyDictionary<string, string> Tags { get; init; } = NoTags;

    public string? EndUser { get; init; }

    /// <summary>Of the call that made the row: the client's for an original, an admin's for a revision.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>Estimated input tokens: the lower bound of an attempt whose outcome stays unknown.</summary>
    public long? EstimatedInputTokens { get; init; }

    /// <summary>What was set aside for it, of each cap that it fell under; null: it fell under none.</summary>
    public IReadOnlyList<CapHold>? Holds { get; init; }

    public static readonly IReadOnlyDictionary<string, string> NoTags = new Dictionary<string, string>(0);
}

/// <summary>Money set aside in a cap for one attempt.</summary>
/// <param name="Cap">The cap.</param>
/// <param name="PicoUsd">The most that the attempt can cost, as far as was known before it; 1e-12 USD.</param>
public readonly record struct CapHold(CapId Cap, long PicoUsd);

/// <summary>One priced attempt: the ledger's row. A correction is another row of the same attempt with signed deltas.</summary>
public sealed record Charge
{
    public required Intent Intent { get; init; }

    /// <summary>0 for the original; corrections count up. (attempt, revision) is unique for ever.</summary>
    public int Revision { get; init; }

    public RevisionKind Kind { get; init; }

    /// <summary>Null for what nobody asked for.</summary>
    public RevisionOrder? Order { get; init; }

    public required ChargeState State { get; init; }

    /// <summary>Model the provider says it served; where it says nothing, the one sent.</summary>
    public required string ServedModel { get; init; }

    /// <summary>Null: nothing is known (failed, or unresolved without a checkpoint).</summary>
    public TokenUsage? Usage { get; init; }

    public Cost Cost { get; init; }

    /// <summary>For unresolved attempts: what was certainly spent. Not part of any total.</summary>
    public Usd LowerBound { get; init; }

    public PriceId? PriceId { get; init; }

    public bool Estimated => Usage?.Source == UsageSource.Estimated;

    /// <summary>Intent to the last byte, milliseconds.</summary>
    public long LatencyMs { get; init; }

    /// <summary>HTTP status that the provider answered; null without an answer.</summary>
    public int? Status { get; init; }

    /// <summary>Stable code of the reason for anything but a clean end, for example <c>client_closed</c>.</summary>
    public string? Outcome { get; init; }

    /// <summary>The provider's own id of the answer.</summary>
    public string? ProviderRequestId { get; init; }
}

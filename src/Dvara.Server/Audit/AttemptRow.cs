using Dvara.Domain;

namespace Dvara.Server.Audit;

/// <summary>What the trail reads of a ledger row.</summary>
internal sealed class AttemptRow
{
    /// <summary>The request's earliest attempt.</summary>
    public AttemptId EventId { get; init; }

    public AttemptId AttemptId { get; init; }

    public string State { get; init; } = "";

    public RequestId RequestId { get; init; }

    public TenantId TenantId { get; init; }

    public ApiKeyId ApiKeyId { get; init; }

    public string Provider { get; init; } = "";

    public string Model { get; init; } = "";

    public string RequestedModel { get; init; } = "";

    public string Endpoint { get; init; } = "";

    public bool Stream { get; init; }

    public bool Estimated { get; init; }

    public long? UncachedInput { get; init; }

    public long? CacheRead { get; init; }

    public long? CacheWrite { get; init; }

    public long? Output { get; init; }

    public long? Reasoning { get; init; }

    public Usd InputCost { get; init; }

    public Usd OutputCost { get; init; }

    public DateTimeOffset Timestamp { get; init; }

    public long LatencyMs { get; init; }

    public int? Status { get; init; }

    public string? Outcome { get; init; }
}

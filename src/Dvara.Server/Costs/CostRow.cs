using System.Text.Json;
using Dvara.Domain;
using Dvara.Domain.Metering;

namespace Dvara.Server.Costs;

/// <summary>A row of <c>charges</c> as it is read: revision 0, or a correction whose numbers are signed deltas.</summary>
internal class CostRow
{
    public AttemptId AttemptId { get; init; }

    public int Revision { get; init; }

    public RevisionKind Kind { get; init; }

    public ChargeState State { get; init; }

    public RequestId RequestId { get; init; }

    public int Attempt { get; init; }

    public TenantId TenantId { get; init; }

    public ApiKeyId ApiKeyId { get; init; }

    public string Provider { get; init; } = "";

    public string Model { get; init; } = "";

    public string RequestedModel { get; init; } = "";

    public long? UncachedInput { get; init; }

    public long? CacheRead { get; init; }

    public long? CacheWrite { get; init; }

    public long? Output { get; init; }

    public long? Reasoning { get; init; }

    public bool Estimated { get; init; }

    public long InputCostPicoUsd { get; init; }

    public long OutputCostPicoUsd { get; init; }

    public long LowerBoundPicoUsd { get; init; }

    /// <summary>1 on the row that brings its request into the counts; a correction's counts are signed deltas like its amounts.</summary>
    public int Requests { get; init; }

    public int EstimatedRequests { get; init; }

    public int UnpricedRequests { get; init; }

    public int UnresolvedRequests { get; init; }

    public int FailedAttempts { get; init; }

    public PriceId? PriceId { get; init; }

    /// <summary>A JSON object of strings.</summary>
    public string Tags { get; init; } = "{}";

    public string? EndUser { get; init; }

    public DateTimeOffset At { get; init; }

    public int BillingMonth { get; init; }

    public long LatencyMs { get; init; }

    public int? Status { get; init; }

    public string? Outcome { get; init; }

    /// <summary>What this row adds to any sum; the ledger's rollups are plain sums of the same columns.</summary>
    public Sums ToSums() => new()
    {
        Requests = Requests,
        UncachedInput = UncachedInput ?? 0,
        CacheRead = CacheRead ?? 0,
        CacheWrite = CacheWrite ?? 0,
        Output = Output ?? 0,
        Reasoning = Reasoning ?? 0,
        InputCostPicoUsd = InputCostPicoUsd,
        OutputCostPicoUsd = OutputCostPicoUsd,
        EstimatedRequests = EstimatedRequests,
        UnpricedRequests = UnpricedRequests,
        UnresolvedRequests = UnresolvedRequests,
        UnresolvedLowerBoundPicoUsd = LowerBoundPicoUsd,
        FailedAttempts = FailedAttempts,
    };

    public IReadOnlyDictionary<string, string> ReadTags() =>
        Tags is "{}" ? Intent.NoTags : JsonSerializer.Deserialize<Dictionary<string, string>>(Tags) ?? Intent.NoTags;
}

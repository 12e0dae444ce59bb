using Dvara.Domain;
using Dvara.Domain.Metering;

namespace Dvara.Server.Costs;

/// <summary>A row of <c>charges</c> with everything that another revision of its attempt repeats.</summary>
internal sealed class ResolutionRow : CostRow
{
    public string Endpoint { get; init; } = "";

    public bool Stream { get; init; }

    public string? ProviderRequestId { get; init; }

    public string? IdempotencyKey { get; init; }

    public JournalId JournalId { get; init; }

    public long JournalSeq { get; init; }

    /// <summary>The charge that the row was made of; what no column keeps (estimate and holds of its note) is absent.</summary>
    public Charge ToCharge() => new()
    {
        Intent = new()
        {
            AttemptId = AttemptId,
            RequestId = RequestId,
            Attempt = Attempt,
            TenantId = TenantId,
            ApiKeyId = ApiKeyId,
            Provider = Provider,
            Model = SentModel(),
            RequestedModel = RequestedModel,
            Endpoint = Endpoint,
            Stream = Stream,
            Tags = ReadTags(),
            EndUser = EndUser,
            IdempotencyKey = IdempotencyKey,
        },
        Revision = Revision,
        Kind = Kind,
        State = State,
        ServedModel = Model,
        Usage = ReadUsage(),
        Cost = new(Usd.FromPico(InputCostPicoUsd), Usd.FromPico(OutputCostPicoUsd)),
        LowerBound = Usd.FromPico(LowerBoundPicoUsd),
        PriceId = PriceId,
        LatencyMs = LatencyMs,
        Status = Status,
        Outcome = Outcome,
        ProviderRequestId = ProviderRequestId,
    };

    /// <summary>A client may name the provider before the model; that part is not sent.</summary>
    private string SentModel() => RequestedModel.StartsWith(Provider + "/", StringComparison.Ordinal) ? RequestedModel[(Provider.Length + 1)..] : RequestedModel;

    private TokenUsage? ReadUsage() => (UncachedInput ?? CacheRead ?? CacheWrite ?? Output ?? Reasoning) is null ? null : new()
    {
        UncachedInput = UncachedInput,
        CacheRead = CacheRead,
        CacheWrite = CacheWrite,
        Output = Output,
        Reasoning = Reasoning,
        Source = Estimated ? UsageSource.Estimated : UsageSource.Reported,
    };
}

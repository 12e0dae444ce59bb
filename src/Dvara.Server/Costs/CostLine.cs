using System.Text.Json.Serialization;
using Dvara.Domain;
using Dvara.Domain.Metering;

namespace Dvara.Server.Costs;

/// <summary>
/// One attempt as the API shows it: the sum over its revisions, and its corrections. <c>InputTokens</c> and <c>OutputTokens</c> are
/// whole counts, the other token counts are parts of them. What the provider did not report is null.
/// </summary>
internal sealed record CostLine
{
    public required AttemptId Id { get; init; }

    public required RequestId RequestId { get; init; }

    public required int Attempt { get; init; }

    public required TenantId TenantId { get; init; }

    public required ApiKeyId ApiKeyId { get; init; }

    public required string Provider { get; init; }

    public required string Model { get; init; }

    public required string RequestedModel { get; init; }

    public required Int128? InputTokens { get; init; }

    public required Int128? CachedInputTokens { get; init; }

    public required Int128? CacheWriteTokens { get; init; }

    public required Int128? OutputTokens { get; init; }

    public required Int128? ReasoningTokens { get; init; }

    public required Usd InputCostUsd { get; init; }

    public required Usd OutputCostUsd { get; init; }

    public Usd TotalCostUsd => InputCostUsd + OutputCostUsd;

    public string Currency { get; } = CostAnswers.Currency;

    public required PriceId? PriceId { get; init; }

    [JsonConverter(typeof(UpperCaseNames<ChargeState>))]
    public required ChargeState State { get; init; }

    public required bool Estimated { get; init; }

    /// <summary>What an attempt of unknown outcome certainly cost; never part of <see cref="TotalCostUsd"/>.</summary>
    public required Usd UnresolvedLowerBoundUsd { get; init; }

    public required IReadOnlyDictionary<string, string> Tags { get; init; }

    public required string? EndUser { get; init; }

    /// <summary>The start, which alone decides period, price and statement.</summary>
    public required DateTimeOffset Timestamp { get; init; }

    public required long LatencyMs { get; init; }

    public required int? Status { get; init; }

    /// <summary>Why it did not end cleanly; null where it did.</summary>
    public required string? Outcome { get; init; }

    public required IReadOnlyList<CostRevision> Revisions { get; init; }

    /// <param name="rows">All rows of one attempt, by revision.</param>
    public static CostLine Of(IReadOnlyList<CostRow> rows)
    {
        var (first, last) = (rows[0], rows[^1]);
        var cacheRead = Sum(rows, row => row.CacheRead);
        var cacheWrite = Sum(rows, row => row.CacheWrite);
        var reasoning = Sum(rows, row => row.Reasoning);
        return new()
        {
            Id = first.AttemptId,
            RequestId = first.RequestId,
            Attempt = first.Attempt,
            TenantId = first.TenantId,
            ApiKeyId = first.ApiKeyId,
            Provider = first.Provider,
            Model = last.Model,
            RequestedModel = first.RequestedModel,
            InputTokens = Whole(last.State, Sum(rows, row => row.UncachedInput), cacheRead, cacheWrite),
            CachedInputTokens = Whole(last.State, cacheRead),
            CacheWriteTokens = Whole(last.State, cacheWrite),
            OutputTokens = Whole(last.State, Sum(rows, row => row.Output), reasoning),
            ReasoningTokens = Whole(last.State, reasoning),
            InputCostUsd = Total(rows, row => row.InputCostPicoUsd),
            OutputCostUsd = Total(rows, row => row.OutputCostPicoUsd),
            PriceId = last.PriceId,
            State = last.State,
            Estimated = last.Estimated,
            UnresolvedLowerBoundUsd = Total(rows, row => row.LowerBoundPicoUsd),
            Tags = first.ReadTags(),
            EndUser = first.EndUser,
            Timestamp = first.At,
            LatencyMs = first.LatencyMs,
            Status = last.Status,
            Outcome = last.Outcome,
            Revisions = [.. rows.Skip(1).Select(CostRevision.Of)],
        };
    }

    /// <summary>A failed attempt did nothing, which is zero; for the others, what nobody reported stays null.</summary>
    private static Int128? Whole(ChargeState state, params ReadOnlySpan<Int128?> buckets)
    {
        Int128? sum = state == ChargeState.Failed ? 0 : null;
        foreach (var bucket in buckets)
        {
            sum = bucket is null ? sum : (sum ?? 0) + bucket;
        }

        return sum;
    }

    private static Int128? Sum(IReadOnlyList<CostRow> rows, Func<CostRow, long?> bucket) =>
        rows.Aggregate((Int128?)null, (sum, row) => bucket(row) is { } count ? (sum ?? 0) + count : sum);

    private static Usd Total(IReadOnlyList<CostRow> rows, Func<CostRow, long> picoUsd) =>
        rows.Aggregate(Usd.Zero, (sum, row) => sum + Usd.FromPico(picoUsd(row)));
}

using System.Text.Json.Serialization;
using Dvara.Domain;

namespace Dvara.Server.Costs;

/// <summary>Answers of the cost calls. Money and tokens are whole sums; the groups of an answer add up to it.</summary>
internal static class CostAnswers
{
    public const string Currency = "USD";

    /// <summary>The value under which charges without the tag are shown.</summary>
    public const string Untagged = "(untagged)";

    public static CostSummary Summary(SummaryQuery query, CostTally tally) => new(tally.Total)
    {
        From = query.Filter.Window.From,
        To = query.Filter.Window.To,
        Groups =
        [
            .. tally.Groups().Select(group => new CostGroup(group.Sums)
            {
                Key = tally.Dimensions.Zip(group.Key).ToDictionary(part => part.First.Name, part => part.Second, StringComparer.Ordinal),
            }),
        ],
    };

    /// <param name="key">As the caller spelled it.</param>
    public static TagSummary ByTag(string key, SummaryQuery query, CostTally tally)
    {
        var groups = tally.Groups().Select(group => new TagGroup(group.Sums, group.Key[0])).ToList();
        if (!groups.Exists(group => group.Untagged))
        {
            groups.Add(new TagGroup(default, null));
        }

        return new(key, query.Filter.Window.From, query.Filter.Window.To, new Usd(tally.Total.CostPicoUsd), Currency, groups);
    }
}

/// <summary>The amounts that a summary and each of its groups show.</summary>
internal abstract record CostAmounts([property: JsonIgnore] Sums Sums)
{
    public Usd TotalCostUsd => new(Sums.CostPicoUsd);

    public Usd InputCostUsd => new(Sums.InputCostPicoUsd);

    public Usd OutputCostUsd => new(Sums.OutputCostPicoUsd);

    public string Currency { get; } = CostAnswers.Currency;

    public Int128 RequestCount => Sums.Requests;

    public Int128 InputTokens => Sums.InputTokens;

    public Int128 CachedInputTokens => Sums.CacheRead;

    public Int128 CacheWriteTokens => Sums.CacheWrite;

    public Int128 OutputTokens => Sums.OutputTokens;

    public Int128 ReasoningTokens => Sums.Reasoning;

    public Int128 EstimatedRequests => Sums.EstimatedRequests;

    public Int128 UnpricedRequests => Sums.UnpricedRequests;

    public Int128 UnresolvedRequests => Sums.UnresolvedRequests;

    public Usd UnresolvedLowerBoundUsd => new(Sums.UnresolvedLowerBoundPicoUsd);

    public Int128 FailedAttempts => Sums.FailedAttempts;
}

internal sealed record CostSummary(Sums Sums) : CostAmounts(Sums)
{
    public required DateTimeOffset From { get; init; }

    public required DateTimeOffset To { get; init; }

    public required IReadOnlyList<CostGroup> Groups { get; init; }
}

internal sealed record CostGroup(Sums Sums) : CostAmounts(Sums)
{
    /// <summary>Dimension to value; null for charges without the tag.</summary>
    [JsonPropertyOrder(-1)]
    public required IReadOnlyDictionary<string, string?> Key { get; init; }
}

internal sealed record TagSummary(
    string Key, DateTimeOffset From, DateTimeOffset To, Usd TotalCostUsd, string Currency, IReadOnlyList<TagGroup> Groups);

internal sealed class TagGroup(Sums sums, string? value)
{
    public string Value => value ?? CostAnswers.Untagged;

    /// <summary>Tells the charges without the tag from a tag whose value reads the same.</summary>
    public bool Untagged => value is null;

    public Usd TotalCostUsd => new(sums.CostPicoUsd);

    public Int128 RequestCount => sums.Requests;

    public Int128 InputTokens => sums.InputTokens;

    public Int128 OutputTokens => sums.OutputTokens;
}

/// <summary>A page of lines, with the window as it was understood; an open bound is the first or last instant that a row can have.</summary>
internal sealed record CostPage(IReadOnlyList<CostLine> Items, string? NextCursor, DateTimeOffset From, DateTimeOffset To);

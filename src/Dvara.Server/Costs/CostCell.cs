using Dvara.Domain;

namespace Dvara.Server.Costs;

/// <summary>Sums with what they are of, as a rollup or the rows answer them; a part that nobody groups by may be null.</summary>
internal sealed class CostCell
{
    public long? StartMs { get; init; }

    public TenantId? TenantId { get; init; }

    public ApiKeyId? ApiKeyId { get; init; }

    public string? Provider { get; init; }

    public string? Model { get; init; }

    /// <summary>From a tag rollup: the value of the one tag key that the query is about; null where it is missing.</summary>
    public string? TagValue { get; init; }

    /// <summary>From a row: all its tags. Null for rollups.</summary>
    public IReadOnlyDictionary<string, string>? Tags { get; init; }

    public required Sums Sums { get; init; }

    /// <summary>What a tagged cell takes away from the charges without the tag.</summary>
    public CostCell Untagged() => new()
    {
        StartMs = StartMs,
        TenantId = TenantId,
        ApiKeyId = ApiKeyId,
        Provider = Provider,
        Model = Model,
        Sums = -Sums,
    };

    public string? TagValueOf(string foldedKey) => Tags is null ? TagValue : TagFilter.Find(Tags, foldedKey);
}

using System.Globalization;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Costs;

/// <summary>What a summary may be grouped by.</summary>
internal enum CostDimensionKind
{
    Provider,
    Model,
    ApiKey,
    Tenant,
    Day,
    Hour,
    Tag,
}

/// <summary>One part of <c>groupBy</c>.</summary>
/// <param name="Name">As it stands in a group's <c>key</c>: <c>apiKey</c>, <c>tag:Project</c>.</param>
/// <param name="Kind">Where the value comes from.</param>
/// <param name="TagKey">For tags: the folded key.</param>
internal sealed record CostDimension(string Name, CostDimensionKind Kind, string? TagKey = null)
{
    private const string TagPrefix = "tag:";
    private const int MaxDimensions = 10;
    public const int MaxTagKey = 64;

    private static readonly Dictionary<string, CostDimension> Known = new CostDimension[]
    {
        new("provider", CostDimensionKind.Provider),
        new("model", CostDimensionKind.Model),
        new("apiKey", CostDimensionKind.ApiKey),
        new("tenant", CostDimensionKind.Tenant),
        new("day", CostDimensionKind.Day),
        new("hour", CostDimensionKind.Hour),
    }.ToDictionary(d => d.Name, StringComparer.OrdinalIgnoreCase);

    public bool IsTime => Kind is CostDimensionKind.Day or CostDimensionKind.Hour;

    public static CostDimension OfTag(string key) => new(TagPrefix + key, CostDimensionKind.Tag, TagFilter.Fold(key));

    /// <summary>Reads <c>groupBy</c>, a comma-separated list; problems are left in <paramref name="query"/>.</summary>
    public static IReadOnlyList<CostDimension> ReadList(AdminQuery query)
    {
        var dimensions = new List<CostDimension>();
        foreach (var name in query.All("groupBy").SelectMany(list => list.Split(',', StringSplitOptions.TrimEntries)))
        {
            if (Parse(name) is not { } dimension)
            {
                query.Fail("groupBy", "groupBy is a list of provider, model, apiKey, tenant, day, hour, tag:<key>, such as groupBy=provider,tag:Project.");
            }
            else if (dimensions.Exists(d => d.Kind == dimension.Kind && d.TagKey == dimension.TagKey))
            {
                query.Fail("groupBy", $"groupBy names {dimension.Name} twice.");
            }
            else
            {
                dimensions.Add(dimension);
            }
        }

        if (dimensions.Count > MaxDimensions)
        {
            query.Fail("groupBy", $"groupBy takes at most {MaxDimensions} dimensions.");
        }

        return dimensions;
    }

    /// <summary>The value of this dimension for a cell; null for a charge without the tag.</summary>
    public string? ValueOf(CostCell cell) => Kind switch
    {
        CostDimensionKind.Provider => cell.Provider,
        CostDimensionKind.Model => cell.Model,
        CostDimensionKind.ApiKey => cell.ApiKeyId?.ToString(),
        CostDimensionKind.Tenant => cell.TenantId?.ToString(),
        CostDimensionKind.Day => Start(cell).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        CostDimensionKind.Hour => Start(cell).ToString("yyyy-MM-dd'T'HH':00:00Z'", CultureInfo.InvariantCulture),
        _ => cell.TagValueOf(TagKey!),
    };

    private static DateTimeOffset Start(CostCell cell) => DateTimeOffset.FromUnixTimeMilliseconds(cell.StartMs ?? 0);

    private static CostDimension? Parse(string name)
    {
        if (name.StartsWith(TagPrefix, StringComparison.OrdinalIgnoreCase))
        {
            var key = name[TagPrefix.Length..];
            return key.Length is > 0 and <= MaxTagKey ? OfTag(key) : null;
        }

        return Known.GetValueOrDefault(AdminJson.ToCamelCase(name));
    }
}

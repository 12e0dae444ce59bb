using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Costs;

/// <summary>What a summary adds up, and by what.</summary>
internal sealed record SummaryQuery(CostFilter Filter, IReadOnlyList<CostDimension> Dimensions)
{
    /// <summary>Longest window that may be grouped by hour: a quarter of a year.</summary>
    public static readonly TimeSpan HourWindowMax = TimeSpan.FromDays(92);

    /// <summary>Tag keys that the query is about, folded. One is answered from tag rollups, more only from rows.</summary>
    public IReadOnlyList<string> TagKeys { get; } =
        [.. Dimensions.Select(d => d.TagKey).OfType<string>().Concat(Filter.Tags.Select(t => t.Key)).Distinct(StringComparer.Ordinal)];

    /// <summary>Length of a time bucket; 0: not grouped by time.</summary>
    public long BucketMs =>
        Has(CostDimensionKind.Hour) ? TimeCover.HourMs : Has(CostDimensionKind.Day) ? TimeCover.DayMs : 0;

    public static SummaryQuery Read(AdminQuery query, AdminActor caller)
    {
        var filter = CostFilter.Read(query, caller, windowRequired: true);
        var summary = new SummaryQuery(filter, CostDimension.ReadList(query));
        if (summary.Has(CostDimensionKind.Hour) && filter.Window.To - filter.Window.From > HourWindowMax)
        {
            query.Fail("groupBy", $"groupBy=hour takes a window of at most {HourWindowMax.Days} days; group by day, or ask for shorter windows and add them up.");
        }

        return summary;
    }

    public static SummaryQuery ReadByTag(AdminQuery query, AdminActor caller)
    {
        var key = query.Text("key");
        if (key is not { Length: > 0 and <= CostDimension.MaxTagKey })
        {
            query.Fail("key", $"key is required: the tag key to group by, at most {CostDimension.MaxTagKey} characters.");
        }

        return new(CostFilter.Read(query, caller, windowRequired: true), [CostDimension.OfTag(key ?? "")]);
    }

    public bool Has(CostDimensionKind kind) => Dimensions.Any(d => d.Kind == kind);
}

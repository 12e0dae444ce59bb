using Dvara.Domain;
using Dvara.Domain.Time;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Costs;

/// <summary>Which charges a call is about. Everything given must match; absent matches all.</summary>
internal sealed record CostFilter
{
    /// <summary>A token that is narrowed to a tenant always has it here.</summary>
    public TenantId? TenantId { get; init; }

    public ApiKeyId? ApiKeyId { get; init; }

    public string? Provider { get; init; }

    /// <summary>The served model, without prefix.</summary>
    public string? Model { get; init; }

    /// <summary>At most one per key.</summary>
    public IReadOnlyList<TagFilter> Tags { get; init; } = [];

    public required TimeWindow Window { get; init; }

    public long FromMs => Window.From.ToUnixTimeMilliseconds();

    public long ToMs => Window.To.ToUnixTimeMilliseconds();

    /// <summary>Reads the filters that every cost call knows; problems are left in <paramref name="query"/>.</summary>
    /// <param name="query">The call's query string.</param>
    /// <param name="caller">A narrowed caller's tenant is filtered for, asked or not.</param>
    /// <param name="windowRequired">False: an absent bound is open.</param>
    public static CostFilter Read(AdminQuery query, AdminActor caller, bool windowRequired) => new()
    {
        TenantId = query.Tenant() ?? caller.TenantId,
        ApiKeyId = query.Id("apiKeyId", value => new ApiKeyId(value)),
        Provider = query.Text("provider"),
        Model = query.Text("model"),
        Tags = ReadTags(query),
        Window = query.Window(windowRequired),
    };

    public bool MatchesTags(IReadOnlyDictionary<string, string> tags) => Tags.All(tag => tag.Matches(tags));

    private static List<TagFilter> ReadTags(AdminQuery query)
    {
        var filters = new List<TagFilter>();
        foreach (var text in query.All("tag"))
        {
            if (TagFilter.Parse(text) is not { } filter)
            {
                query.Fail("tag", "tag must be key:value, such as tag=Project:apollo.");
            }
            else if (filters.Exists(other => other.Key == filter.Key))
            {
                query.Fail("tag", $"tag {filter.Key} is given twice; an attempt has one value per tag key.");
            }
            else
            {
                filters.Add(filter);
            }
        }

        return filters;
    }
}

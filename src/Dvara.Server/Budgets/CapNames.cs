using Dvara.Domain.Budgets;

namespace Dvara.Server.Budgets;

/// <summary>How answers and events speak of a cap.</summary>
internal static class CapNames
{
    /// <summary>What the cap is a limit of: <c>tenant</c>, <c>tenant+tag:project=apollo</c>, …; <c>platform</c> without a tenant.</summary>
    public static string ScopeName(this Cap cap)
    {
        List<string> parts = [cap.TenantId is null ? "platform" : cap.Key is null ? "tenant" : "api_key"];
        if (cap.Tag is { } tag)
        {
            parts.Add($"tag:{tag.Key}={tag.Value}");
        }

        if (cap.Model is { } model)
        {
            parts.Add($"model:{model}");
        }

        return string.Join('+', parts);
    }
}

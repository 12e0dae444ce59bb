using System.Text.Json;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Budgets;

/// <summary>Which budgets a list shows. Everything given must match; what is null does not narrow it.</summary>
/// <param name="VisibleTo">The one tenant whose budgets the caller may see; not even those of no tenant.</param>
/// <param name="TenantId">Only of this tenant.</param>
/// <param name="ApiKeyId">Only of this key's line.</param>
/// <param name="Name">The whole name.</param>
/// <param name="Enabled">Only those that are, or are not.</param>
/// <param name="Period">Only of this period.</param>
internal sealed record BudgetFilter(TenantId? VisibleTo, TenantId? TenantId, ApiKeyId? ApiKeyId, string? Name, bool? Enabled, CapPeriod? Period)
{
    public static BudgetFilter Read(AdminQuery query, AdminActor caller) => new(
        caller.TenantId, query.Tenant(), query.Id("apiKeyId", value => new ApiKeyId(value)), query.Text("name")?.Trim(), ReadEnabled(query), ReadPeriod(query));

    /// <summary>What a cursor of this list is signed over. JSON, so that no value can pass for another field.</summary>
    public string CursorScope(string path) => JsonSerializer.Serialize(new { path, filter = this }, AdminJson.Options);

    private static bool? ReadEnabled(AdminQuery query)
    {
        var text = query.Text("enabled");
        if (text is not (null or "true" or "false"))
        {
            query.Fail("enabled", "enabled must be true or false.");
        }

        return text is null ? null : text == "true";
    }

    private static CapPeriod? ReadPeriod(AdminQuery query)
    {
        if (query.Text("period") is not { } text)
        {
            return null;
        }

        var period = BudgetRequest.ParsePeriod(text);
        if (period is null)
        {
            query.Fail("period", "period must be one of DAILY, WEEKLY, MONTHLY.");
        }

        return period;
    }
}

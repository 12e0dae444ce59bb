using System.Globalization;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;

namespace Dvara.Testing;

/// <summary>Budgets over the admin API, as an operator makes and reads them.</summary>
public static class BudgetCalls
{
    /// <summary>Makes a monthly cap and answers with it.</summary>
    /// <param name="admin">Carries an admin token.</param>
    /// <param name="limitUsd">The limit.</param>
    /// <param name="fields">Scope and whatever else differs from the defaults.</param>
    public static async Task<JsonObject> MakeBudgetAsync(this HttpClient admin, decimal limitUsd, JsonObject? fields = null)
    {
        fields ??= [];
        fields["name"] ??= "cap";
        fields["period"] ??= "MONTHLY";
        fields["limitUsd"] ??= limitUsd;
        using var answer = await admin.PostAsJsonAsync("/v1/admin/budgets", fields);
        return await ReadAsync(answer);
    }

    public static async Task<JsonObject> ChangeBudgetAsync(this HttpClient admin, JsonObject budget, JsonObject patch)
    {
        using var answer = await admin.PatchAsJsonAsync($"/v1/admin/budgets/{budget["id"]}", patch);
        return await ReadAsync(answer);
    }

    public static async Task<JsonObject> UsageAsync(this HttpClient admin, JsonObject budget)
    {
        using var answer = await admin.GetAsync($"/v1/admin/budgets/{budget["id"]}/usage");
        return await ReadAsync(answer);
    }

    /// <summary>Ends when the silo would hold a call in so many budgets: a new one is known everywhere within a second.</summary>
    /// <param name="client">Carries a key.</param>
    /// <param name="call">The call's body; it is not made.</param>
    /// <param name="count">So many.</param>
    public static Task AwaitBudgetsAsync(this HttpClient client, string call, int count) => Await.TrueAsync(
        async () =>
        {
            using var answer = await client.PostAsync("/v1/budget/estimate", new StringContent(call, Encoding.UTF8, "application/json"));
            return answer.IsSuccessStatusCode && (await ReadAsync(answer))["budgets"]!.AsArray().Count == count;
        },
        $"{client.BaseAddress} to know {count} budgets");

    /// <param name="admin">Carries an admin token.</param>
    /// <param name="type">Of the events.</param>
    /// <param name="tenantId">Null: of every tenant.</param>
    public static async Task<IReadOnlyList<JsonObject>> AuditAsync(this HttpClient admin, string type, string? tenantId = null)
    {
        using var answer = await admin.GetAsync($"/v1/admin/audit/events?type={type}&limit=1000{(tenantId is null ? "" : $"&tenantId={tenantId}")}");
        return [.. (await ReadAsync(answer))["items"]!.AsArray().Select(item => item!.AsObject())];
    }

    private static async Task<JsonObject> ReadAsync(HttpResponseMessage answer)
    {
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode
            ? JsonNode.Parse(text)!.AsObject()
            : throw new InvalidOperationException(string.Create(
                CultureInfo.InvariantCulture, $"{answer.RequestMessage?.Method} {answer.RequestMessage?.RequestUri} answered {(int)answer.StatusCode}: {text}"));
    }
}

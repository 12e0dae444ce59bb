using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

namespace Dvara.Testing;

/// <summary>Calls of the admin API that many tests begin with, over HTTP like any other caller's.</summary>
public static class AdminCalls
{
    /// <summary>Makes a tenant and answers with it.</summary>
    /// <param name="node">The node.</param>
    /// <param name="request">The body, for example <c>new { name = "Acme" }</c>.</param>
    public static async Task<JsonElement> MakeTenantAsync(this GatewayEnvironment node, object request)
    {
        using var answer = await node.Admin.PostAsJsonAsync("/v1/admin/tenants", request);
        answer.EnsureSuccessStatusCode();
        return await answer.Content.ReadFromJsonAsync<JsonElement>();
    }

    /// <summary>Makes an admin token and answers with a client that carries it.</summary>
    /// <param name="node">The node.</param>
    /// <param name="request">The body, for example <c>new { name = "reader", role = "viewer" }</c>.</param>
    public static async Task<HttpClient> ClientAsync(this GatewayEnvironment node, object request)
    {
        using var answer = await node.Admin.PostAsJsonAsync("/v1/admin/tokens", request);
        answer.EnsureSuccessStatusCode();
        var token = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("token").GetString();
        var client = new HttpClient { BaseAddress = node.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }
}

using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Tenants;

/// <summary>The wire of these tests: bodies are text, so that they can be as wrong as a caller's.</summary>
internal static class TenantCalls
{
    public const string Path = "/v1/admin/tenants";

    public static async Task<HttpResponseMessage> SendAsync(
        this HttpClient client, HttpMethod method, string uri, string? body = null, string? ifMatch = null)
    {
        using var request = new HttpRequestMessage(method, uri);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }

        if (ifMatch is not null)
        {
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        }

        return await client.SendAsync(request);
    }

    public static string Uri(this JsonElement tenant) => $"{Path}/{tenant.Text("id")}";

    public static string? Text(this JsonElement value, string member) => value.GetProperty(member).GetString();

    public static async Task<JsonElement> JsonAsync(this HttpResponseMessage answer, HttpStatusCode expected)
    {
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(expected == answer.StatusCode, $"{(int)answer.StatusCode} instead of {(int)expected}: {text}");
        return JsonDocument.Parse(text).RootElement;
    }

    /// <summary>The fields that a 400 complains of, in order.</summary>
    public static async Task<string[]> BadFieldsAsync(this HttpResponseMessage answer)
    {
        var error = (await answer.JsonAsync(HttpStatusCode.BadRequest)).GetProperty("error");
        Assert.Equal("validation_error", error.Text("code"));
        return [.. error.GetProperty("errors").EnumerateArray().Select(e => e.Text("field")!)];
    }

    public static async Task<string?> CodeAsync(this HttpResponseMessage answer, HttpStatusCode expected) =>
        (await answer.JsonAsync(expected)).GetProperty("error").Text("code");

    public static async Task<string[]> NamesAsync(this HttpClient client, string query) =>
        [.. (await client.GetFromJsonAsync<JsonElement>($"{Path}?{query}")).GetProperty("items").EnumerateArray().Select(t => t.Text("name")!)];

    /// <summary>The events of one tenant, oldest first.</summary>
    public static async Task<JsonElement[]> EventsAsync(this GatewayEnvironment node, JsonElement tenant)
    {
        var answer = await node.Admin.GetFromJsonAsync<JsonElement>($"/v1/admin/audit/events?tenantId={tenant.Text("id")}");
        return [.. answer.GetProperty("items").EnumerateArray().Reverse()];
    }
}

using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Dvara.Testing;

/// <summary>A tenant with one key, made through the admin API as a user would.</summary>
public sealed class TestTenant : IDisposable
{
    private TestTenant(GatewayEnvironment environment, string id, string keyId, string key)
    {
        Environment = environment;
        Id = id;
        KeyId = keyId;
        Key = key;
        Client = new HttpClient { BaseAddress = environment.BaseAddress };
        Client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
    }

    public GatewayEnvironment Environment { get; }

    public string Id { get; }

    public string KeyId { get; }

    /// <summary>The secret, as an application would configure it.</summary>
    public string Key { get; }

    /// <summary>Carries the key.</summary>
    public HttpClient Client { get; }

    /// <param name="environment">Where.</param>
    /// <param name="tenant">More fields of the tenant.</param>
    /// <param name="key">More fields of the key.</param>
    public static async Task<TestTenant> CreateAsync(GatewayEnvironment environment, JsonObject? tenant = null, JsonObject? key = null)
    {
        tenant ??= [];
        tenant["name"] ??= "Acme Ltd";
        var id = (string)(await PostAsync(environment, "/v1/admin/tenants", tenant))["id"]!;
        key ??= [];
        key["name"] ??= "checkout";
        var made = await PostAsync(environment, $"/v1/admin/tenants/{id}/keys", key);
        return new(environment, id, (string)made["id"]!, (string)made["key"]!);
    }

    public Task<HttpResponseMessage> PostAsync(string path, string body, CancellationToken cancellationToken = default) =>
        Client.PostAsync(path, new StringContent(body, new MediaTypeHeaderValue("application/json")), cancellationToken);

    public Task<(HttpStatusCode Status, bool Retryable)> CallAsync(string body = MockCall.Body) => Client.CallAsync(body);

    /// <summary>Rotates a key; the old one goes on working for a day.</summary>
    /// <param name="keyId">Which; null: the tenant's first.</param>
    public async Task<(string Key, string KeyId)> RotateAsync(string? keyId = null)
    {
        var made = await PostAsync(Environment, $"/v1/admin/tenants/{Id}/keys/{keyId ?? KeyId}/rotate", []);
        return ((string)made["key"]!, (string)made["id"]!);
    }

    /// <summary>All lines of this tenant in the ledger, newest first; the read itself waits for what was charged before it.</summary>
    public async Task<IReadOnlyList<JsonObject>> CostsAsync()
    {
        var page = await Environment.Admin.GetFromJsonAsync<JsonObject>(
            $"/v1/admin/costs?tenantId={Id}&from=2020-01-01T00:00:00Z&to=2040-01-01T00:00:00Z&limit=1000");
        return [.. page!["items"]!.AsArray().Select(item => item!.AsObject())];
    }

    public void Dispose() => Client.Dispose();

    private static async Task<JsonObject> PostAsync(GatewayEnvironment environment, string path, JsonObject body)
    {
        using var answer = await environment.Admin.PostAsJsonAsync(path, body);
        var text = await answer.Content.ReadAsStringAsync();
        if (!answer.IsSuccessStatusCode)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"POST {path} answered {(int)answer.StatusCode}: {text}"));
        }

        return JsonSerializer.Deserialize<JsonObject>(text)!;
    }
}

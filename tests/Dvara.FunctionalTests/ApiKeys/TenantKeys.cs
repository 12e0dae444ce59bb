using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Dapper;
using Dvara.Server.ApiKeys;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.ApiKeys;

/// <summary>A tenant whose keys are administered over HTTP and looked up as the gateway does.</summary>
internal sealed class TenantKeys(GatewayEnvironment node, string tenant)
{
    public HttpClient Admin => node.Admin;

    public string Tenant => tenant;

    public ApiKeyCache Cache => Service<ApiKeyCache>();

    public static async Task<TenantKeys> CreateAsync(GatewayEnvironment node) =>
        new(node, (await node.MakeTenantAsync(new { name = "Acme" })).Text("id"));

    public T Service<T>()
        where T : notnull => node.Services.GetRequiredService<T>();

    public async Task<string> NewTenantAsync(string name)
    {
        var tenant = await AnswerAsync(HttpMethod.Post, "/v1/admin/tenants", new { name }, HttpStatusCode.Created);
        return tenant.GetProperty("id").GetString()!;
    }

    /// <summary>Changes the tenant: <c>{"status":"SUSPENDED"}</c>.</summary>
    public Task PatchTenantAsync(object patch) => AnswerAsync(HttpMethod.Patch, $"/v1/admin/tenants/{Tenant}", patch, HttpStatusCode.OK);

    /// <summary>A new key: its resource, which has the key itself.</summary>
    public Task<JsonElement> NewKeyAsync(object body, string? tenant = null) =>
        AnswerAsync(HttpMethod.Post, Path("", tenant), body, HttpStatusCode.Created);

    public async Task<string> NewKeyAsync(string name) => (await NewKeyAsync(new { name })).Text("key");

    /// <summary>The path of the tenant's keys, and what follows it.</summary>
    public string Path(string rest, string? tenant = null) => $"/v1/admin/tenants/{tenant ?? Tenant}/keys{rest}";

    public Task<JsonElement> GetAsync(string rest) => AnswerAsync(HttpMethod.Get, Path(rest), null, HttpStatusCode.OK);

    public Task<JsonElement> PostAsync(string rest, object? body, HttpStatusCode status) => AnswerAsync(HttpMethod.Post, Path(rest), body, status);

    public async Task<JsonElement> AnswerAsync(HttpMethod method, string path, object? body, HttpStatusCode status, HttpClient? client = null)
    {
        using var answer = await SendAsync(method, path, body, client);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == status, $"{method} {path}: {answer.StatusCode} {text}");
        return text.Length == 0 ? default : JsonElement.Parse(text);
    }

    /// <summary>The <c>error</c> of a refusal.</summary>
    public async Task<JsonElement> RefusedAsync(
        HttpMethod method, string path, object? body, HttpStatusCode status, string code, HttpClient? client = null)
    {
        var error = (await AnswerAsync(method, path, body, status, client)).GetProperty("error");
        Assert.Equal(code, error.Text("code"));
        return error;
    }

    /// <param name="method">The method.</param>
    /// <param name="path">The path.</param>
    /// <param name="body">A string is sent as it is, anything else as JSON; null: no body.</param>
    /// <param name="client">Null: the owner.</param>
    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, object? body, HttpClient? client = null)
    {
        using var request = new HttpRequestMessage(method, path)
        {
            Content = body switch
            {
                null => null,
                string text => new StringContent(text, Encoding.UTF8, "application/json"),
                _ => JsonContent.Create(body),
            },
        };
        return await (client ?? Admin).SendAsync(request);
    }

    /// <summary>A client whose token sees one tenant alone.</summary>
    public async Task<HttpClient> NarrowedAsync(string tenant, params string[] scopes)
    {
        var made = await AnswerAsync(
            HttpMethod.Post, "/v1/admin/tokens", new { name = "narrow", scopes, tenantId = tenant }, HttpStatusCode.Created);
        return new HttpClient
        {
            BaseAddress = node.BaseAddress,
            DefaultRequestHeaders = { Authorization = new AuthenticationHeaderValue("Bearer", made.Text("token")) },
        };
    }

    public async Task<List<JsonElement>> AuditAsync(string type)
    {
        var page = await AnswerAsync(HttpMethod.Get, $"/v1/admin/audit/events?tenantId={Tenant}&type={type}", null, HttpStatusCode.OK);
        return [.. page.GetProperty("items").EnumerateArray()];
    }

    /// <summary>Runs a statement on the database behind the node's back: how a database breaks, or how another node writes.</summary>
    public async Task ExecuteAsync(string sql)
    {
        await using var connection = await node.ConnectAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = sql;
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Everything that the node has stored, to look for what must not be there.</summary>
    public async Task<string> StoredAsync()
    {
        if (TestPostgres.IsEngine)
        {
            await using var connection = await node.ConnectAsync();
            return await connection.QuerySingleAsync<string>("SELECT database_to_xml(true, false, '')::text");
        }

        var all = new StringBuilder();
        foreach (var file in Directory.EnumerateFiles(node.DataDirectory, "dvara.db*"))
        {
            await using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var reader = new StreamReader(stream, Encoding.Latin1);
            all.Append(await reader.ReadToEndAsync());
        }

        return all.ToString();
    }
}

internal static class JsonText
{
    public static string Text(this JsonElement element, string member) => element.GetProperty(member).GetString()!;
}

using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Dvara.Testing;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.Hosting;

public sealed partial class AdminQueryTests
{
    /// <summary>Walks the routes, so that one which is added is held to it too.</summary>
    [Fact]
    public async Task EveryAdminRoute_AskedWithAnUnknownParameter_NamesIt_AndDoesNothing()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        using var tenant = await TestTenant.CreateAsync(node);
        var routes = (
            from endpoint in node.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            where endpoint.RoutePattern.RawText!.StartsWith("/v1/admin/", StringComparison.Ordinal)
            from method in endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? []
            select (Method: method, Path: Parameter().Replace(endpoint.RoutePattern.RawText!, tenant.Id).TrimEnd('/'))).ToList();
        Assert.True(routes.Count > 30, $"{routes.Count} routes");

        foreach (var (method, path) in routes)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), $"{path}?dry_walk=true");
            request.Content = method is "GET" or "DELETE" ? null : new StringContent("{}", Encoding.UTF8, "application/json");
            using var answer = await node.Admin.SendAsync(request);

            var text = await answer.Content.ReadAsStringAsync();
            Assert.True(answer.StatusCode == HttpStatusCode.BadRequest, $"{method} {path}: {answer.StatusCode} {text}");
            Assert.Contains(JsonNode.Parse(text)!["error"]!["errors"]!.AsArray(), error => (string?)error!["field"] == "dryWalk");
        }

        Assert.Equal("ACTIVE", (string?)JsonNode.Parse(await node.Admin.GetStringAsync($"/v1/admin/tenants/{tenant.Id}"))!["status"]);
    }

    [GeneratedRegex(@"\{[^}]+\}")]
    private static partial Regex Parameter();
}

using System.Reflection;
using System.Text.RegularExpressions;
using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Dvara.Server.Hosting.OpenApi;

/// <summary>
/// Makes the description from two sources: which routes there are, from the routes themselves; what goes in and comes out, from
/// <c>Assets/contract.json</c>. The endpoints read bodies and queries by hand, so their signatures say nothing, and the data plane's are
/// OpenAI's. What the file has and no route serves is left out: the description promises nothing that is not there.
/// </summary>
internal sealed partial class ContractTransformer(EndpointDataSource endpoints) : IOpenApiDocumentTransformer
{
    private const string Asset = "Dvara.Server.Hosting.OpenApi.Assets.contract.json";

    private static readonly string[] Described = ["/v1", "/healthz", "/readyz", "/metrics"];

    public async Task TransformAsync(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancellationToken)
    {
        await using var asset = Assembly.GetExecutingAssembly().GetManifestResourceStream(Asset)!;
        var contract = (await OpenApiDocument.LoadAsync(asset, "json", cancellationToken: cancellationToken)).Document!;
        var fromContract = Operations(contract);
        var generated = Operations(document);

        document.Info = contract.Info;
        document.Components = contract.Components;
        document.Tags = new HashSet<OpenApiTag>();
        var paths = new OpenApiPaths();
        foreach (var (endpoint, path, method) in Routes())
        {
            var key = Key(method, path);
            if ((fromContract.GetValueOrDefault(key) ?? generated.GetValueOrDefault(key)) is { } operation)
            {
                Complete(operation, endpoint, path, document);
                var item = paths.TryGetValue(path, out var known) ? (OpenApiPathItem)known : new OpenApiPathItem();
                item.AddOperation(method, operation);
                paths[path] = item;
            }
        }

        document.Paths = paths;
    }

    private static Dictionary<string, OpenApiOperation> Operations(OpenApiDocument document) =>
        (document.Paths ?? []).SelectMany(path => (path.Value.Operations ?? []).Select(o => (Key(o.Key, path.Key), o.Value)))
            .ToDictionary(o => o.Item1, o => o.Value);

    /// <summary>What names a route whatever its parameters are called.</summary>
    private static string Key(HttpMethod method, string path) => $"{method} {Parameter().Replace(path, "{}")}";

    private IEnumerable<(RouteEndpoint Endpoint, string Path, HttpMethod Method)> Routes() =>
        from endpoint in endpoints.Endpoints.OfType<RouteEndpoint>()
        let path = "/" + Parameter().Replace(endpoint.RoutePattern.RawText!.Trim('/'), "{${name}}")
        where Described.Any(prefix => path == prefix || path.StartsWith(prefix + "/", StringComparison.Ordinal))
        // Probes are mapped without a method.
        from method in endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? ["GET"]
        orderby path.StartsWith("/v1/admin", StringComparison.Ordinal), path, method
        select (endpoint, path, new HttpMethod(method));

    /// <summary>Adds what is the same for every route: parameters of the path, credential, errors.</summary>
    private static void Complete(OpenApiOperation operation, RouteEndpoint endpoint, string path, OpenApiDocument document)
    {
        operation.OperationId = null;
        operation.Parameters = [.. endpoint.RoutePattern.Parameters.Select(p => PathParameter(p.Name)),
            .. (operation.Parameters ?? []).Where(p => p.In != ParameterLocation.Path)];
        operation.Security = Security(endpoint, path, document);
        foreach (var tag in operation.Tags ?? new HashSet<OpenApiTagReference>())
        {
            document.Tags!.Add(new OpenApiTag { Name = tag.Reference.Id });
        }

        if (path.StartsWith("/v1", StringComparison.Ordinal))
        {
            operation.Responses ??= [];
            operation.Responses["4XX"] = Error("The call is refused; code says why.", document);
            operation.Responses["5XX"] = Error("The provider or this server failed.", document);
        }
    }

    private static OpenApiParameter PathParameter(string name) =>
        new() { Name = name, In = ParameterLocation.Path, Required = true, Schema = new OpenApiSchema { Type = JsonSchemaType.String } };

    private static OpenApiResponse Error(string description, OpenApiDocument document) => new()
    {
        Description = description,
        Content = new Dictionary<string, OpenApiMediaType>
        {
            ["application/json"] = new OpenApiMediaType { Schema = new OpenApiSchemaReference("Error", document) },
        },
    };

    private static List<OpenApiSecurityRequirement> Security(RouteEndpoint endpoint, string path, OpenApiDocument document)
    {
        List<string> scopes = [.. endpoint.Metadata.GetOrderedMetadata<AuthorizationPolicy>()
            .SelectMany(policy => policy.Requirements).OfType<ScopeRequirement>().Select(requirement => requirement.Scope)];
        if (scopes.Count > 0)
        {
            return [Require("adminToken", scopes)];
        }

        return path.StartsWith("/v1/", StringComparison.Ordinal) ? [Require("apiKey", []), Require("xApiKey", [])] : [];

        OpenApiSecurityRequirement Require(string scheme, List<string> needed) =>
            new() { [new OpenApiSecuritySchemeReference(scheme, document)] = needed };
    }

    /// <summary><c>{id}</c>, <c>{id:guid}</c>, <c>{**id}</c>.</summary>
    [GeneratedRegex(@"\{\**(?<name>[A-Za-z]+)[^}]*\}", RegexOptions.CultureInvariant)]
    private static partial Regex Parameter();
}

using Scalar.AspNetCore;

namespace Dvara.Server.Hosting.OpenApi;

/// <summary><c>/openapi.json</c> describes the interface, <c>/docs</c> shows it.</summary>
internal static class OpenApiEndpoints
{
    /// <summary>
    /// The page brings its scripts along; the policy makes sure that a browser asks nobody else, whatever the scripts think.
    /// Inline scripts are the page's own start.
    /// </summary>
    private const string PagePolicy =
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        + "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

    public static void AddInterfaceDescription(this IServiceCollection services) =>
        services.AddOpenApi(options => options.AddDocumentTransformer<ContractTransformer>());

    public static void MapInterfaceDescription(this IEndpointRouteBuilder app)
    {
        // Until the console is there, its address leads to the description.
        app.MapGet("/", () => Results.Redirect("/docs/")).ExcludeFromDescription();
        app.MapOpenApi("/openapi.json");
        app.MapScalarApiReference("/docs", (options, httpContext) =>
        {
            httpContext.Response.Headers.ContentSecurityPolicy = PagePolicy;
            options.OpenApiRoutePattern = "/openapi.json";
            options.Title = "Dvara";
            options.DefaultFonts = false;
            options.Telemetry = false;
            options.HideClientButton = true;
            options.DisableAgent();
        });
    }
}

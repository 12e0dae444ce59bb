using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.HttpOverrides;

namespace Dvara.Server.Hosting;

/// <summary>Turns <see cref="ListenerSettings"/> into Kestrel's listeners and the middleware that depends on them.</summary>
internal static class Listeners
{
    private static readonly PathString[] AdminPaths = ["/v1/admin", "/docs", "/openapi.json"];

    public static void AddListeners(this WebApplicationBuilder builder, ListenerSettings settings)
    {
        builder.WebHost.UseUrls([.. settings.Urls, .. settings.AdminUrls]);
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.RequestHeaderEncodingSelector = LengthDigits.OfHeader);
        if (settings.Tls is { } tls)
        {
            builder.Services.AddSingleton(provider =>
                new TlsCertificate(tls.CertificateFile, tls.KeyFile, provider.GetRequiredService<ILogger<TlsCertificate>>()));
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureHttpsDefaults(https =>
            {
                var certificate = kestrel.ApplicationServices.GetRequiredService<TlsCertificate>();
                https.ServerCertificateSelector = (_, _) => certificate.Current.TargetCertificate;
                https.OnAuthenticate = (_, ssl) =>
                {
                    // The context carries the intermediate certificates too, which the selector cannot.
                    ssl.ServerCertificateSelectionCallback = null;
                    ssl.ServerCertificateContext = certificate.Current;
                };
            }));
        }

        builder.Services.Configure<ForwardedHeadersOptions>(forwarded =>
        {
            forwarded.ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto | ForwardedHeaders.XForwardedHost;
            forwarded.ForwardLimit = null;
            forwarded.KnownProxies.Clear();
            forwarded.KnownIPNetworks.Clear();
            foreach (var network in settings.TrustedProxies)
            {
                forwarded.KnownIPNetworks.Add(network);
            }
        });
    }

    public static void UseListeners(this IApplicationBuilder app, ListenerSettings settings)
    {
        // Without anyone to trust the middleware would believe everybody.
        if (settings.TrustedProxies.Count > 0)
        {
            app.UseForwardedHeaders();
        }

        if (settings.AdminPorts is { Count: > 0 } ports)
        {
            app.Use(next => httpContext => IsAdminPath(httpContext.Request.Path) && !ports.Contains(httpContext.Connection.LocalPort)
                ? ApiError.NotFound("path").ExecuteAsync(httpContext)
                : next(httpContext));
        }
    }

    /// <summary>Routing ignores case, so this must too.</summary>
    private static bool IsAdminPath(PathString path) =>
        path == "/" || AdminPaths.Any(admin => path.StartsWithSegments(admin, StringComparison.OrdinalIgnoreCase));
}

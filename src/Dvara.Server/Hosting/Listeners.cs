using System.Net;
using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Dvara.Server.Hosting;

/// <summary>Turns <see cref="ListenerSettings"/> into Kestrel's listeners and the middleware that depends on them.</summary>
internal static class Listeners
{
    private static readonly PathString[] AdminPaths = ["/v1/admin", "/docs", "/openapi.json"];

    public static void AddListeners(this WebApplicationBuilder builder, ListenerSettings settings)
    {
        // Kestrel is told below where to listen; addresses that it found itself would only make it warn that it does not use them.
        foreach (var elsewhere in (string[])[WebHostDefaults.ServerUrlsKey, WebHostDefaults.HttpPortsKey, WebHostDefaults.HttpsPortsKey])
        {
            builder.WebHost.UseSetting(elsewhere, "");
        }

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

        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            foreach (var url in settings.Urls.Concat(settings.AdminUrls))
            {
                Listen(kestrel, BindingAddress.Parse(url));
            }
        });
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
        BadRequestAnswers.Start(app.ApplicationServices);
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

    /// <summary>Reads an address as Kestrel does; it offers no other way to get behind TLS.</summary>
    private static void Listen(KestrelServerOptions kestrel, BindingAddress address)
    {
        if (address.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase))
        {
            kestrel.ListenLocalhost(address.Port, Configure);
        }
        else if (IPAddress.TryParse(address.Host, out var ip))
        {
            kestrel.Listen(ip, address.Port, Configure);
        }
        else
        {
            kestrel.ListenAnyIP(address.Port, Configure);
        }

        void Configure(ListenOptions listener)
        {
            if (address.Scheme == "https")
            {
                listener.UseHttps();
            }

            listener.Use(BadRequestAnswers.Wrap);
        }
    }

    /// <summary>Routing ignores case, so this must too.</summary>
    private static bool IsAdminPath(PathString path) =>
        path == "/" || AdminPaths.Any(admin => path.StartsWithSegments(admin, StringComparison.OrdinalIgnoreCase));
}

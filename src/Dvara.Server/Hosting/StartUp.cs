using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace Dvara.Server.Hosting;

/// <summary>What the first lines of the console say: where everything is, and how to make the first request.</summary>
internal sealed class StartUp
{
    private volatile bool _isDone;

    /// <summary>True once the node listens.</summary>
    public bool IsDone => _isDone;

    /// <summary>The owner token that this start made; printed once and never again.</summary>
    public string? NewAdminToken { get; set; }

    public void Finish() => _isDone = true;

    public void Print(WebApplication app, TextWriter console)
    {
        var settings = app.Services.GetRequiredService<DvaraSettings>();
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses;
        var adminPorts = settings.Listeners.AdminPorts;
        var gateway = Reachable(addresses.First(address => !adminPorts.Contains(BindingAddress.Parse(address).Port)));
        var admin = adminPorts.Count == 0 ? gateway : Reachable(settings.Listeners.AdminUrls[0]);

        console.WriteLine($"""

            Dvara is ready.
              {(settings.Role == NodeRole.Silo ? $"Silo      {gateway}           (takes no calls)" : $"Gateway   {gateway}/v1        (base URL of OpenAI clients)")}
              Docs      {admin}/docs
              Data      {Path.GetFullPath(settings.DataDirectory)}
            """);
        if (settings.ClockStart is { } start)
        {
            console.WriteLine($"  REHEARSAL The clock started at {start:O}. What is recorded here did not happen at these times.");
        }

        if (NewAdminToken is { } token)
        {
            console.WriteLine($$"""

                Admin token, shown this once (also in {{Path.Combine(Path.GetFullPath(settings.DataDirectory), "admin-token")}}):
                  {{token}}

                First request:
                  curl -s {{admin}}/v1/admin/tenants \
                    -H 'Authorization: Bearer {{token}}' \
                    -H 'Content-Type: application/json' \
                    -d '{"name":"Acme"}'
                """);
        }

        console.WriteLine();
        console.Flush();
    }

    /// <summary>An address that a browser can open: a wildcard is not one.</summary>
    private static string Reachable(string address)
    {
        var binding = BindingAddress.Parse(address);
        var anyHost = binding.Host is "+" or "*" || (IPAddress.TryParse(binding.Host.Trim('[', ']'), out var ip)
            && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any)));
        return $"{binding.Scheme}://{(anyHost ? "localhost" : binding.Host)}:{binding.Port}";
    }
}

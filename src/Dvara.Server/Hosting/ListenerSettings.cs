using System.Net;

namespace Dvara.Server.Hosting;

/// <summary>Where the node listens, and as whom.</summary>
internal sealed record ListenerSettings
{
    /// <summary>Addresses of the data plane (<c>ASPNETCORE_URLS</c>, default <c>http://localhost:8080</c>); without <see cref="AdminUrls"/> of everything.</summary>
    public required IReadOnlyList<string> Urls { get; init; }

    /// <summary>Addresses that admin API and console are held to (<c>DVARA_ADMIN_URLS</c>); empty: they are on all.</summary>
    public required IReadOnlyList<string> AdminUrls { get; init; }

    /// <summary>Certificate chain and key in PEM (<c>DVARA_TLS_CERT</c>, <c>DVARA_TLS_KEY</c>); null: no HTTPS.</summary>
    public (string CertificateFile, string KeyFile)? Tls { get; init; }

    /// <summary>Whose <c>X-Forwarded-*</c> count (<c>DVARA_TRUSTED_PROXIES</c>, addresses or CIDR ranges); empty: nobody's.</summary>
    public required IReadOnlyList<IPNetwork> TrustedProxies { get; init; }

    public IReadOnlySet<int> AdminPorts => PortsOf(AdminUrls);

    /// <summary>Every port it listens on; 0 stands for one that the system chooses.</summary>
    public IReadOnlySet<int> Ports => PortsOf([.. Urls, .. AdminUrls]);

    public static ListenerSettings Read(IConfiguration configuration, List<string> problems)
    {
        var tls = ReadTls(configuration["DVARA_TLS_CERT"], configuration["DVARA_TLS_KEY"], problems);
        var urls = ReadUrls("ASPNETCORE_URLS", configuration["URLS"], tls is not null, problems);
        var settings = new ListenerSettings
        {
            Urls = urls.Count > 0 ? urls : [tls is null ? "http://localhost:8080" : "https://localhost:8080"],
            AdminUrls = ReadUrls("DVARA_ADMIN_URLS", configuration["DVARA_ADMIN_URLS"], tls is not null, problems),
            Tls = tls,
            TrustedProxies = ReadProxies(configuration["DVARA_TRUSTED_PROXIES"], problems),
        };
        var ports = PortsOf(settings.Urls);
        if (settings.AdminPorts.Any(port => port == 0 || ports.Contains(port)))
        {
            problems.Add("DVARA_ADMIN_URLS must name ports of its own: neither 0 nor one of ASPNETCORE_URLS.");
        }

        return settings;
    }

    private static HashSet<int> PortsOf(IEnumerable<string> urls) => [.. urls.Select(url => BindingAddress.Parse(url).Port)];

    private static List<string> ReadUrls(string name, string? text, bool hasTls, List<string> problems)
    {
        var urls = new List<string>();
        foreach (var url in (text ?? "").Split([';', ','], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (!IsHttpAddress(url))
            {
                problems.Add($"{name} has {url}. It must be a list of addresses such as http://localhost:8080, separated by semicolons.");
            }
            else if (!hasTls && url.StartsWith("https:", StringComparison.OrdinalIgnoreCase))
            {
                problems.Add($"{name} has {url} and there is no certificate. Set DVARA_TLS_CERT and DVARA_TLS_KEY.");
            }
            else
            {
                urls.Add(url);
            }
        }

        return urls;
    }

    private static bool IsHttpAddress(string url)
    {
        try
        {
            return BindingAddress.Parse(url) is { Scheme: "http" or "https", IsUnixPipe: false, IsNamedPipe: false, Port: >= 0 and <= 65535, PathBase: "" };
        }
        catch (FormatException)
        {
            return false;
        }
    }

    private static (string CertificateFile, string KeyFile)? ReadTls(string? certificate, string? key, List<string> problems)
    {
        if (string.IsNullOrEmpty(certificate) && string.IsNullOrEmpty(key))
        {
            return null;
        }

        if (string.IsNullOrEmpty(certificate) || string.IsNullOrEmpty(key))
        {
            problems.Add("DVARA_TLS_CERT and DVARA_TLS_KEY belong together; only one of them is set.");
            return null;
        }

        if (TlsCertificate.Problem(certificate, key) is { } problem)
        {
            problems.Add($"DVARA_TLS_CERT is {certificate} and DVARA_TLS_KEY is {key}, which cannot be used: {problem}");
        }

        return (certificate, key);
    }

    private static List<IPNetwork> ReadProxies(string? text, List<string> problems)
    {
        var networks = new List<IPNetwork>();
        foreach (var part in (text ?? "").Split([',', ';', ' '], StringSplitOptions.RemoveEmptyEntries))
        {
            if (IPNetwork.TryParse(part, out var network))
            {
                networks.Add(network);
            }
            else if (IPAddress.TryParse(part, out var address))
            {
                networks.Add(new IPNetwork(address, address.GetAddressBytes().Length * 8));
            }
            else
            {
                problems.Add($"DVARA_TRUSTED_PROXIES has {part}. It must be a list of addresses or ranges such as 10.0.0.0/8, separated by commas.");
            }
        }

        return networks;
    }
}

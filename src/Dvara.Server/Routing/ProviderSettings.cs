using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Dvara.Server.Routing;

/// <summary>
/// Reads the upstream accounts: <c>OPENAI_API_KEY</c> and <c>OPENAI_BASE_URL</c> (the same with the prefix <c>DVARA_</c> wins) for
/// each known provider, and <c>Dvara:Providers:&lt;id&gt;:{BaseUrl,ApiKey,AsksForUsage}</c> for any OpenAI-compatible one.
/// </summary>
internal static partial class ProviderSettings
{
    private const string Section = "Dvara:Providers";

    /// <param name="configuration">Environment, settings file and command line.</param>
    /// <param name="listening">Ports of this very server, which no provider may be.</param>
    /// <param name="problems">Receives a sentence for each setting that is wrong.</param>
    public static IReadOnlyList<ProviderConfig> Read(IConfiguration configuration, IReadOnlySet<int> listening, List<string> problems)
    {
        var providers = new Dictionary<string, ProviderConfig>(StringComparer.Ordinal);
        foreach (var known in KnownProvider.All.Values)
        {
            var credential = Value(configuration, known.Variable + "_API_KEY");
            var baseUrl = Value(configuration, known.Variable + "_BASE_URL");
            if (credential is not null || baseUrl is not null)
            {
                Add(known.Id, baseUrl ?? known.BaseUrl, credential, known.Format, true, known.Variable + "_BASE_URL");
            }
        }

        foreach (var section in configuration.GetSection(Section).GetChildren())
        {
            var known = KnownProvider.All.GetValueOrDefault(section.Key);
            var place = $"{Section}:{section.Key}";
            if (!IdPattern().IsMatch(section.Key) || section.Key == ProviderConfig.Mock.Id)
            {
                problems.Add($"{place}: a provider id has 1 to 32 lower-case letters, digits and hyphens, and is not mock.");
                continue;
            }

            var asks = section["AsksForUsage"];
            if (asks is not null && !bool.TryParse(asks, out _))
            {
                problems.Add($"{place}:AsksForUsage is {asks}. It must be true or false.");
            }

            Add(section.Key, section["BaseUrl"] ?? known?.BaseUrl, section["ApiKey"], known?.Format ?? WireFormat.OpenAi,
                !string.Equals(asks, "false", StringComparison.OrdinalIgnoreCase), $"{place}:BaseUrl");
        }

        var mock = configuration["Dvara:Mock:Enabled"];
        if (mock is not null && !bool.TryParse(mock, out _))
        {
            problems.Add($"Dvara:Mock:Enabled is {mock}. It must be true or false.");
        }

        if (!string.Equals(mock, "false", StringComparison.OrdinalIgnoreCase))
        {
            providers[ProviderConfig.Mock.Id] = ProviderConfig.Mock;
        }

        return [.. providers.Values];

        void Add(string id, string? baseUrl, string? credential, WireFormat format, bool asksForUsage, string place)
        {
            if (baseUrl is null)
            {
                problems.Add($"{place} is missing. It must be an http or https URL such as https://llm.example.com/v1.");
            }
            else if (!Uri.TryCreate(baseUrl, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https")
                || uri.Query.Length > 0 || uri.Fragment.Length > 0 || uri.UserInfo.Length > 0)
            {
                problems.Add($"{place} is not usable. It must be an http or https URL without credentials and query, such as https://llm.example.com/v1.");
            }
            else if (credential is not null && credential.Any(c => c is <= ' ' or > '~'))
            {
                problems.Add($"The credential of provider {id} has characters that no HTTP header carries (a line break from a file?).");
            }
            else if (listening.Contains(uri.Port) && IsThisMachine(uri))
            {
                problems.Add($"{place} reaches this very server: requests would loop. It must be the provider's address.");
            }
            else
            {
                providers[id] = new ProviderConfig { Id = id, BaseUrl = uri, Credential = credential, Format = format, AsksForUsage = asksForUsage };
            }
        }
    }

    private static string? Value(IConfiguration configuration, string name) =>
        NullIfEmpty(configuration["DVARA_" + name]) ?? NullIfEmpty(configuration[name]);

    private static string? NullIfEmpty(string? value) => string.IsNullOrEmpty(value) ? null : value;

    /// <summary>Asked only when the port is ours too, so that a start does not wait for name servers.</summary>
    private static bool IsThisMachine(Uri uri)
    {
        try
        {
            var own = NetworkInterface.GetAllNetworkInterfaces()
                .SelectMany(n => n.GetIPProperties().UnicastAddresses)
                .Select(a => a.Address)
                .ToHashSet();
            return Dns.GetHostAddresses(uri.DnsSafeHost)
                .Any(a => IPAddress.IsLoopback(a) || a.Equals(IPAddress.Any) || a.Equals(IPAddress.IPv6Any) || own.Contains(a));
        }
        catch (SocketException)
        {
            return false;
        }
    }

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,31}$")]
    private static partial Regex IdPattern();
}

using System.Text.RegularExpressions;

namespace Dvara.Server.Hosting;

/// <summary>
/// The settings with structure, and their spellings. <c>Dvara:Gateway:IdleSeconds</c> is also <c>dvara.llm-gateway.gateway.idle-seconds</c>
/// (settings file, flat or nested, and command line) and <c>DVARA_LLM_GATEWAY_GATEWAY_IDLE_SECONDS</c> (environment). A spelling
/// that matches no setting is an error: a misspelt cap or schedule must not be silently absent.
/// </summary>
internal static class SettingNames
{
    private const string Root = "Dvara:";
    private const string DottedRoot = "dvara.llm-gateway.";
    private const string EnvironmentRoot = "DVARA_LLM_GATEWAY_";

    /// <summary>Letters by which a name is taken for a misspelt one. Others of ours may be the platform's: Kubernetes sets DVARA_PORT for a service of that name.</summary>
    private const int MisspeltBy = 2;

    // The settings of an installation, without structure.
    private static readonly string[] Plain =
    [
        "DVARA_ACCEPT_LOSS",
        "DVARA_ADMIN_TOKEN",
        "DVARA_ADMIN_URLS",
        "DVARA_ADVERTISED_IP",
        "DVARA_CLOCK_START",
        "DVARA_CLUSTER_ID",
        "DVARA_DATA_DIR",
        "DVARA_GATEWAY_PORT",
        "DVARA_MASTER_KEY",
        "DVARA_POSTGRES",
        "DVARA_ROLE",
        "DVARA_SILO_PORT",
        "DVARA_TLS_CERT",
        "DVARA_TLS_KEY",
        "DVARA_TRUSTED_PROXIES",
    ];

    // * stands for a name that the operator chooses.
    private static readonly string[] Known =
    [
        "Dvara:Budgets:RefusalStatus",
        "Dvara:Budgets:WaitingMax",
        "Dvara:Gateway:BadKeysPerSecond",
        "Dvara:Gateway:DrainSeconds",
        "Dvara:Gateway:DrainsMax",
        "Dvara:Gateway:FirstByteSeconds",
        "Dvara:Gateway:IdleSeconds",
        "Dvara:Gateway:MaxBodyBytes",
        "Dvara:Gateway:TotalSeconds",
        "Dvara:Hosting:LeaveSeconds",
        "Dvara:Hosting:StopSeconds",
        "Dvara:Journal:BatchMax",
        "Dvara:Journal:FileBytesMax",
        "Dvara:Journal:Gather",
        "Dvara:Journal:QueueMax",
        "Dvara:Journal:RecentMax",
        "Dvara:Journal:ReserveBytes",
        "Dvara:Journal:Retention",
        "Dvara:Journal:TagValuesMax",
        "Dvara:Journal:UnshippedMax",
        "Dvara:Metering:Acknowledge",
        "Dvara:Mock:Enabled",
        "Dvara:Providers:*:ApiKey",
        "Dvara:Providers:*:AsksForUsage",
        "Dvara:Providers:*:BaseUrl",
    ];

    private static readonly IReadOnlyList<Spelling> Spellings = [.. Known.Select(name => new Spelling(name))];

    /// <summary>Puts every setting under its <c>Dvara:</c> name. Where several sources name one, the later source wins, in whatever spelling.</summary>
    /// <param name="configuration">Gets a last source with the winners.</param>
    /// <param name="problems">Receives a sentence for each name that is no setting.</param>
    public static void Unify(ConfigurationManager configuration, List<string> problems)
    {
        var winners = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        var wrong = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var provider in ((IConfigurationRoot)configuration).Providers)
        {
            foreach (var (key, value) in Flatten(provider, null))
            {
                if (Resolve(key) is { } name)
                {
                    winners[name] = value;
                }
                else if ((IsSpelling(key) || Meant(key) is not null) && wrong.Add(key))
                {
                    problems.Add(Problem(key));
                }
            }
        }

        configuration.AddInMemoryCollection(winners);
    }

    private static bool IsSpelling(string key) => IsDotted(key)
        || key.StartsWith(Root, StringComparison.OrdinalIgnoreCase) || key.StartsWith(EnvironmentRoot, StringComparison.OrdinalIgnoreCase);

    private static bool IsDotted(string key) => key.Replace(':', '.').StartsWith(DottedRoot, StringComparison.OrdinalIgnoreCase);

    /// <returns>The setting that a name of the environment was meant to be; null: it is one, or none that we know.</returns>
    private static string? Meant(string key)
    {
        var name = key.ToUpperInvariant();
        return name.StartsWith("DVARA_", StringComparison.Ordinal) && !Plain.Contains(name) ? Plain.FirstOrDefault(plain => Distance(plain, name) <= MisspeltBy) : null;
    }

    /// <summary>Letters to insert, leave out or replace (Levenshtein).</summary>
    private static int Distance(string left, string right)
    {
        var row = Enumerable.Range(0, right.Length + 1).ToArray();
        foreach (var letter in left)
        {
            var diagonal = row[0]++;
            for (var i = 1; i <= right.Length; i++)
            {
                (diagonal, row[i]) = (row[i], Math.Min(Math.Min(row[i], row[i - 1]) + 1, diagonal + (right[i - 1] == letter ? 0 : 1)));
            }
        }

        return row[^1];
    }

    /// <summary>Lists the settings as the operator spells them.</summary>
    private static string Problem(string key) => Meant(key) is { } meant ? $"{key} is not a setting. {meant} is."
        : key.StartsWith(Root, StringComparison.OrdinalIgnoreCase) && !IsDotted(key)
        ? $"{key} is not a setting. The settings are {string.Join(", ", Known)}."
        : $"{key.Replace(':', '.')} is not a setting. The settings are {string.Join(", ", Spellings.Select(spelling => spelling.Dotted))}.";

    private static string? Resolve(string key)
    {
        // ASP.NET strips its prefix from the environment only; a settings file and the command line may have it too.
        if (key.Equals("ASPNETCORE_URLS", StringComparison.OrdinalIgnoreCase) || key.Equals("URLS", StringComparison.OrdinalIgnoreCase))
        {
            return "URLS";
        }

        return Spellings.Select(spelling => spelling.Match(key)).FirstOrDefault(name => name is not null);
    }

    private static IEnumerable<(string Key, string? Value)> Flatten(IConfigurationProvider provider, string? parent)
    {
        foreach (var child in provider.GetChildKeys([], parent).Distinct(StringComparer.OrdinalIgnoreCase))
        {
            var key = parent is null ? child : $"{parent}:{child}";
            if (provider.TryGet(key, out var value) && value is not null)
            {
                yield return (key, value);
            }

            foreach (var nested in Flatten(provider, key))
            {
                yield return nested;
            }
        }
    }

    private sealed class Spelling
    {
        private const string Chosen = "*";

        private readonly string _name;
        private readonly Regex[] _patterns;

        public Spelling(string name)
        {
            _name = name;
            var words = name[Root.Length..].Split(':').Select(Kebab).ToList();
            Dotted = DottedRoot + string.Join('.', words);
            _patterns =
            [
                Pattern(name.Split(':'), ":", "[^:]+"),
                Pattern(["dvara", "llm-gateway", .. words], "[.:]", "[^.:]+"),
                Pattern([EnvironmentRoot.TrimEnd('_'), .. words.Select(word => word.Replace('-', '_'))], "_", "[^.:_]+"),
            ];
        }

        public string Dotted { get; }

        /// <returns>The setting's name with what the operator chose in it, or null.</returns>
        public string? Match(string key)
        {
            var match = _patterns.Select(pattern => pattern.Match(key)).FirstOrDefault(m => m.Success);
            return match is null ? null : _name.Replace(Chosen, match.Groups["chosen"].Value.ToLowerInvariant(), StringComparison.Ordinal);
        }

        private static Regex Pattern(IEnumerable<string> words, string separator, string chosen) => new(
            $"^{string.Join(separator, words.Select(word => word == Chosen ? $"(?<chosen>{chosen})" : Regex.Escape(word)))}$",
            RegexOptions.IgnoreCase | RegexOptions.CultureInvariant);

        /// <summary><c>IdleSeconds</c> becomes <c>idle-seconds</c>.</summary>
        private static string Kebab(string word) =>
            Regex.Replace(word, "(?<=[a-z])[A-Z]", match => "-" + match.Value, RegexOptions.CultureInvariant).ToLowerInvariant();
    }
}

using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Dvara.Server.Budgets;
using Dvara.Server.Gateway;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Metering;
using Dvara.Server.Routing;
using Npgsql;

namespace Dvara.Server.Hosting;

/// <summary>What an operator writes to start a node, read once; the sources are the environment, the settings file and the command line.</summary>
internal sealed record DvaraSettings
{
    private const int DefaultSiloPort = 11111;

    private static readonly string[] OfAClusterOnly = ["DVARA_ADVERTISED_IP", "DVARA_GATEWAY_PORT", "DVARA_ROLE"];

    private static readonly string[] Placeholders = ["changeme", "change-me", "change_me", "placeholder", "your-"];

    /// <summary>Folder of ledger, journal and bootstrap token (<c>DVARA_DATA_DIR</c>, default <c>./data</c>).</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Fixed bootstrap admin token (<c>DVARA_ADMIN_TOKEN</c>); unset: one is made at first start.</summary>
    public string? AdminToken { get; init; }

    /// <summary>Encrypts and signs (<c>DVARA_MASTER_KEY</c>); unset: made at first start in the data folder. At least 32 characters.</summary>
    public string? MasterKey { get; init; }

    /// <summary>Npgsql connection string of the ledger of a cluster (<c>DVARA_POSTGRES</c>); unset: one node with SQLite.</summary>
    public string? Postgres { get; init; }

    /// <summary>Orleans cluster id (<c>DVARA_CLUSTER_ID</c>, default <c>dvara</c>).</summary>
    public required string ClusterId { get; init; }

    /// <summary>Orleans silo port (<c>DVARA_SILO_PORT</c>, default 11111; on one node a free one where that is taken and none was asked for).</summary>
    public required int SiloPort { get; init; }

    /// <summary>
    /// What others of the cluster call this node (<c>DVARA_ADVERTISED_IP</c>); null: the first address that is not loopback. Needed where
    /// the node does not see the address that others reach it by.
    /// </summary>
    public IPAddress? AdvertisedIp { get; init; }

    /// <summary>Where processes of role gateway reach this silo (<c>DVARA_GATEWAY_PORT</c>); 0, the default: nowhere.</summary>
    public int GatewayPort { get; init; }

    /// <summary>What of a cluster this process is (<c>DVARA_ROLE</c>: both, gateway, silo; default both).</summary>
    public NodeRole Role { get; init; }

    /// <summary>Start although the data folder cannot keep a journal (<c>DVARA_ACCEPT_LOSS=1</c>).</summary>
    public bool AcceptLoss { get; init; }

    /// <summary>
    /// Rehearsals only (<c>DVARA_CLOCK_START</c>): the clock starts at this instant instead of now. A ledger made so is not a
    /// ledger of what happened, so the start-up block says it loudly.
    /// </summary>
    public DateTimeOffset? ClockStart { get; init; }

    /// <summary>What the end of an answer waits for (<c>Dvara:Metering:Acknowledge</c>: <c>journal</c>, default, or <c>ledger</c>).</summary>
    public Acknowledgement Acknowledge { get; init; }

    /// <summary>The upstream accounts.</summary>
    public IReadOnlyList<ProviderConfig> Providers { get; init; } = [];

    /// <summary>Bounds of the data plane (<c>Dvara:Gateway:*</c>).</summary>
    public GatewayOptions Gateway { get; init; } = new();

    /// <summary>Bounds of the journal (<c>Dvara:Journal:*</c>).</summary>
    public JournalOptions Journal { get; init; } = new();

    /// <summary>How caps refuse (<c>Dvara:Budgets:*</c>).</summary>
    public BudgetOptions Budgets { get; init; } = new();

    /// <summary>Where it listens.</summary>
    public required ListenerSettings Listeners { get; init; }

    /// <summary>
    /// How long running requests may go on after the signal to stop, seconds (<c>Dvara:Hosting:StopSeconds</c>, default 30, in a cluster 600, at most 3600).
    /// Longer loses fewer streams and makes a rollout wait; the platform must grant at least as much before it kills.
    /// </summary>
    public required int StopSeconds { get; init; }

    /// <summary>
    /// How long new requests are still taken after the signal to stop, while <c>/readyz</c> fails already, seconds
    /// (<c>Dvara:Hosting:LeaveSeconds</c>, default 0, in a cluster 5, at most 300): as long as the load balancer needs to see it.
    /// </summary>
    public required int LeaveSeconds { get; init; }

    /// <param name="configuration">Of any spelling.</param>
    /// <param name="serves">False: a command that ends, and needs no master key.</param>
    /// <exception cref="SettingsException">Lists every setting that is wrong, with its value and bound.</exception>
    public static DvaraSettings Read(ConfigurationManager configuration, bool serves = true)
    {
        var problems = new List<string>();
        SettingNames.Unify(configuration, problems);
        var listeners = ListenerSettings.Read(configuration, problems);
        var settings = new DvaraSettings
        {
            DataDirectory = configuration["DVARA_DATA_DIR"] is { Length: > 0 } folder ? folder : "./data",
            AdminToken = configuration["DVARA_ADMIN_TOKEN"],
            MasterKey = configuration["DVARA_MASTER_KEY"],
            Postgres = configuration["DVARA_POSTGRES"] is { Length: > 0 } postgres ? postgres : null,
            ClusterId = configuration["DVARA_CLUSTER_ID"] ?? "dvara",
            SiloPort = ReadSiloPort(configuration["DVARA_SILO_PORT"], isCluster: !string.IsNullOrEmpty(configuration["DVARA_POSTGRES"]), serves, problems),
            AdvertisedIp = ReadAddress(configuration["DVARA_ADVERTISED_IP"], problems),
            GatewayPort = ReadNumber(configuration, "DVARA_GATEWAY_PORT", 0, 0, 65535, problems),
            Role = ReadRole(configuration["DVARA_ROLE"], problems),
            AcceptLoss = ReadFlag(configuration, "DVARA_ACCEPT_LOSS", problems),
            ClockStart = ReadClock(configuration["DVARA_CLOCK_START"], problems),
            Acknowledge = ReadAcknowledge(configuration["Dvara:Metering:Acknowledge"], problems),
            Providers = ProviderSettings.Read(configuration, listeners.Ports, problems),
            Gateway = GatewayOptions.Read(configuration, problems),
            Journal = JournalOptions.Read(configuration, problems),
            Budgets = BudgetOptions.Read(configuration, problems),
            Listeners = listeners,
            LeaveSeconds = ReadNumber(configuration, "Dvara:Hosting:LeaveSeconds", string.IsNullOrEmpty(configuration["DVARA_POSTGRES"]) ? 0 : 5, 0, 300, problems),
            StopSeconds = ReadNumber(configuration, "Dvara:Hosting:StopSeconds", string.IsNullOrEmpty(configuration["DVARA_POSTGRES"]) ? 30 : 600, 0, 3600, problems),
        };
        CheckSecret("DVARA_MASTER_KEY", settings.MasterKey, 32, problems);
        CheckSecret("DVARA_ADMIN_TOKEN", settings.AdminToken, 16, problems);
        CheckCluster(settings, serves, problems);
        RefuseAClusterWithoutDatabase(configuration, problems);
        return problems.Count == 0 ? settings : throw new SettingsException(problems);
    }

    private static void CheckSecret(string name, string? secret, int charsMin, List<string> problems)
    {
        if (secret is null)
        {
            return;
        }

        if (secret.Length < charsMin)
        {
            problems.Add($"{name} has {secret.Length} characters. It must have at least {charsMin}; make one with: openssl rand -hex 32");
        }
        else if (secret.Distinct().Count() < 8 || Placeholders.Any(word => secret.Contains(word, StringComparison.OrdinalIgnoreCase)))
        {
            problems.Add($"{name} is a placeholder. Make a secret with: openssl rand -hex 32");
        }
        else if (secret.Any(c => c is <= ' ' or > '~'))
        {
            problems.Add($"{name} has characters that no HTTP header carries (a line break from a file?).");
        }
    }

    private static void CheckCluster(DvaraSettings settings, bool serves, List<string> problems)
    {
        if (settings.Postgres is null)
        {
            return;
        }

        if (serves && settings.MasterKey is null)
        {
            problems.Add("DVARA_MASTER_KEY is not set. With DVARA_POSTGRES all silos need the same one; make it with: openssl rand -hex 32");
        }

        if (settings.ClockStart is not null)
        {
            problems.Add("DVARA_CLOCK_START is set together with DVARA_POSTGRES. A rehearsal runs on one node: the silos of a cluster go by the database's clock.");
        }

        try
        {
            _ = new NpgsqlConnectionStringBuilder(settings.Postgres);
        }
        catch (ArgumentException exception)
        {
            problems.Add($"DVARA_POSTGRES is no connection string of Npgsql: {exception.Message}");
        }
    }

    /// <summary>A setting that would be silently without effect is refused: nobody should believe to run a cluster.</summary>
    private static void RefuseAClusterWithoutDatabase(ConfigurationManager configuration, List<string> problems)
    {
        if (!string.IsNullOrEmpty(configuration["DVARA_POSTGRES"]))
        {
            return;
        }

        foreach (var name in OfAClusterOnly.Where(name => configuration[name] is { Length: > 0 } value && value != "both"))
        {
            problems.Add($"{name} is {configuration[name]}. It is for a cluster and needs DVARA_POSTGRES; without it a node is alone.");
        }
    }

    private static int ReadNumber(ConfigurationManager configuration, string name, int byDefault, int least, int most, List<string> problems)
    {
        if (configuration[name] is not { } text)
        {
            return byDefault;
        }

        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most)
        {
            return number;
        }

        problems.Add($"{name} is {text}. It must be a whole number from {least} to {most}.");
        return byDefault;
    }

    private static int ReadSiloPort(string? text, bool isCluster, bool serves, List<string> problems)
    {
        // On one node nobody else needs to know the port; in a cluster it stands in firewalls.
        if (text is null && isCluster)
        {
            text = "11111";
        }

        if (text is null)
        {
            return Ports.IsFree(DefaultSiloPort) ? DefaultSiloPort : Ports.Free();
        }

        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is >= 0 and <= 65535)
        {
            // A command that ends runs beside the silo whose port it is.
            if (serves && port != 0 && !Ports.IsFree(port))
            {
                problems.Add($"DVARA_SILO_PORT is {port}, which is in use. It must be a free port, or 0 for any.");
            }

            return port == 0 ? Ports.Free() : port;
        }

        problems.Add($"DVARA_SILO_PORT is {text}. It must be a port from 0 (any free one) to 65535.");
        return 0;
    }

    private static bool ReadFlag(ConfigurationManager configuration, string name, List<string> problems)
    {
        if (configuration[name] is { Length: > 0 } text && text is not ("0" or "1"))
        {
            problems.Add($"{name} is {text}. It must be 1, or 0 as by default.");
        }

        return configuration[name] == "1";
    }

    private static Acknowledgement ReadAcknowledge(string? text, List<string> problems)
    {
        if (text is null or "journal")
        {
            return Acknowledgement.Journal;
        }

        if (text != "ledger")
        {
            problems.Add($"Dvara:Metering:Acknowledge is {text}. It must be journal or ledger.");
        }

        return Acknowledgement.Ledger;
    }

    private static IPAddress? ReadAddress(string? text, List<string> problems)
    {
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        // The parser also takes numbers and octal parts; those are mistakes here.
        if (IPAddress.TryParse(text, out var address)
            && (address.AddressFamily == AddressFamily.InterNetworkV6 || address.ToString() == text)
            && !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any))
        {
            return address;
        }

        problems.Add($"DVARA_ADVERTISED_IP is {text}. It must be the one IP address that the other nodes reach this node by.");
        return null;
    }

    private static NodeRole ReadRole(string? text, List<string> problems)
    {
        switch (text)
        {
            case null or "" or "both":
                return NodeRole.Both;
            case "gateway":
                return NodeRole.Gateway;
            case "silo":
                return NodeRole.Silo;
            default:
                problems.Add($"DVARA_ROLE is {text}. It must be both, gateway or silo.");
                return NodeRole.Both;
        }
    }

    private static DateTimeOffset? ReadClock(string? text, List<string> problems)
    {
        if (text is null)
        {
            return null;
        }

        var (instant, problem) = Instants.Parse(text);
        if (problem is not null)
        {
            problems.Add($"DVARA_CLOCK_START: {problem}");
        }
        else if (instant < DateTimeOffset.UnixEpoch)
        {
            problems.Add($"DVARA_CLOCK_START is {text}. It must not be before 1970-01-01T00:00:00Z, where the ids of requests begin.");
        }

        return instant;
    }
}

/// <summary>Everything that is wrong with the settings, at once.</summary>
internal sealed class SettingsException(IReadOnlyList<string> problems)
    : Exception("Dvara cannot start with these settings:\n  " + string.Join("\n  ", problems));

using System.Globalization;

namespace Dvara.Server.Gateway;

/// <summary>Bounds of the data plane (<c>Dvara:Gateway:*</c>).</summary>
internal sealed record GatewayOptions
{
    /// <summary>Largest request body, bytes (default 32 MiB). One body of this size is held in memory per running call.</summary>
    public int MaxBodyBytes { get; init; } = 32 << 20;

    /// <summary>From dispatch to the answer's headers, seconds (default 600: reasoning models are silent for minutes).</summary>
    public int FirstByteSeconds { get; init; } = 600;

    /// <summary>Longest silence inside an answer, seconds (default 300).</summary>
    public int IdleSeconds { get; init; } = 300;

    /// <summary>Longest answer, seconds (default 3,600); keep-alive comments do not extend it.</summary>
    public int TotalSeconds { get; init; } = 3600;

    /// <summary>How long an answer is still read for its usage after its client left, seconds (default 60).</summary>
    public int DrainSeconds { get; init; } = 60;

    /// <summary>Answers drained at once (default 200); beyond, they are cancelled and unresolved.</summary>
    public int DrainsMax { get; init; } = 200;

    /// <summary>Failed authentications per second and address that are answered 401 (default 100); beyond, 429.</summary>
    public int BadKeysPerSecond { get; init; } = 100;

    /// <param name="configuration">Environment, settings file and command line.</param>
    /// <param name="problems">Receives a sentence for each setting that is wrong.</param>
    public static GatewayOptions Read(IConfiguration configuration, List<string> problems)
    {
        var section = configuration.GetSection("Dvara:Gateway");
        var defaults = new GatewayOptions();
        return new GatewayOptions
        {
            MaxBodyBytes = Number(nameof(MaxBodyBytes), defaults.MaxBodyBytes, 1024, 1 << 30),
            FirstByteSeconds = Number(nameof(FirstByteSeconds), defaults.FirstByteSeconds, 1, 86400),
            IdleSeconds = Number(nameof(IdleSeconds), defaults.IdleSeconds, 1, 86400),
            TotalSeconds = Number(nameof(TotalSeconds), defaults.TotalSeconds, 1, 86400),
            DrainSeconds = Number(nameof(DrainSeconds), defaults.DrainSeconds, 0, 3600),
            DrainsMax = Number(nameof(DrainsMax), defaults.DrainsMax, 0, 100_000),
            BadKeysPerSecond = Number(nameof(BadKeysPerSecond), defaults.BadKeysPerSecond, 1, 1_000_000),
        };

        int Number(string name, int byDefault, int least, int most)
        {
            if (section[name] is not { } text)
            {
                return byDefault;
            }

            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most)
            {
                return value;
            }

            problems.Add($"Dvara:Gateway:{name} is {text}. It must be a whole number from {least} to {most}.");
            return byDefault;
        }
    }
}

using System.Globalization;
using System.Numerics;

namespace Dvara.Server.Metering;

/// <summary>Bounds of the journal and of its way into the ledger (<c>Dvara:Journal</c>).</summary>
internal sealed class JournalOptions
{
    public const string Section = "Dvara:Journal";

    /// <summary>
    /// Charges the ledger has not taken yet; at this many nothing new is admitted. Default 1,000,000: about 1 GB of disk, and some
    /// minutes of full traffic with the database away. Raising it costs disk and time at the next start.
    /// </summary>
    public int UnshippedMax { get; set; } = 1_000_000;

    /// <summary>Entries that wait for the disk; at this many nothing new is admitted. Default 65,536. Raising it costs memory.</summary>
    public int QueueMax { get; set; } = 65_536;

    /// <summary>
    /// Largest journal file, bytes. Default 16 GiB. Reached, it counts as a full disk: shipped charges give way before their time.
    /// </summary>
    public long FileBytesMax { get; set; } = 16L << 30;

    /// <summary>
    /// Room kept for the charges of attempts in flight when the disk (or <see cref="FileBytesMax"/>) is full, bytes. Default 16 MiB,
    /// enough for about 15,000 charges. It is taken from the disk at start.
    /// </summary>
    public long ReserveBytes { get; set; } = 16L << 20;

    /// <summary>How long charges stay after they were shipped, so that a database that lost commits can be fed again. Default 24 h. Costs disk.</summary>
    public TimeSpan Retention { get; set; } = TimeSpan.FromHours(24);

    /// <summary>Charges of this silo kept in memory for shipping. Default 8,192, about 1 KB each.</summary>
    public int RecentMax { get; set; } = 8_192;

    /// <summary>Rows of one ledger transaction. Default 2,000. Raising it makes transactions, and what waits for them, longer.</summary>
    public int BatchMax { get; set; } = 2_000;

    /// <summary>
    /// How long a charge waits for company on its way into the ledger, unless somebody asks for it. Default 50 ms. Lowering it costs
    /// a transaction, and with it a flush of the disk, per interval.
    /// </summary>
    public TimeSpan Gather { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>Distinct values of one tag key that a tenant may have in rollups a day. Default 1,000. Raising it costs rows.</summary>
    public int TagValuesMax { get; set; } = 1_000;

    /// <param name="configuration">Environment, settings file and command line.</param>
    /// <param name="problems">Receives a sentence for each setting that is wrong.</param>
    public static JournalOptions Read(IConfiguration configuration, List<string> problems)
    {
        var section = configuration.GetSection(Section);
        var defaults = new JournalOptions();
        return new()
        {
            UnshippedMax = Number(nameof(UnshippedMax), defaults.UnshippedMax, 1),
            QueueMax = Number(nameof(QueueMax), defaults.QueueMax, 1),
            FileBytesMax = Number(nameof(FileBytesMax), defaults.FileBytesMax, 1L << 20),
            ReserveBytes = Number(nameof(ReserveBytes), defaults.ReserveBytes, 64L << 10),
            Retention = Duration(nameof(Retention), defaults.Retention, TimeSpan.MaxValue, "not negative"),
            RecentMax = Number(nameof(RecentMax), defaults.RecentMax, 1),
            BatchMax = Number(nameof(BatchMax), defaults.BatchMax, 1),
            Gather = Duration(nameof(Gather), defaults.Gather, TimeSpan.FromSeconds(1), "at most a second: the ledger is promised within one"),
            TagValuesMax = Number(nameof(TagValuesMax), defaults.TagValuesMax, 0),
        };

        T Number<T>(string name, T byDefault, T least)
            where T : IBinaryInteger<T>, IMinMaxValue<T>
        {
            if (section[name] is not { } text)
            {
                return byDefault;
            }

            if (T.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= least)
            {
                return value;
            }

            problems.Add($"{Section}:{name} is {text}. It must be a whole number from {least} to {T.MaxValue}.");
            return byDefault;
        }

        TimeSpan Duration(string name, TimeSpan byDefault, TimeSpan most, string bound)
        {
            if (section[name] is not { } text)
            {
                return byDefault;
            }

            if (TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var value) && value >= TimeSpan.Zero && value <= most)
            {
                return value;
            }

            problems.Add($"{Section}:{name} is {text}. It must be a time such as 00:00:00.05, {bound}.");
            return byDefault;
        }
    }
}

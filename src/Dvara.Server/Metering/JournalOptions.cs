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

    /// <returns>Every value out of its bounds, with the bound.</returns>
    public IEnumerable<string> Problems()
    {
        foreach (var (name, value, least) in new (string, long, long)[]
        {
            (nameof(UnshippedMax), UnshippedMax, 1),
            (nameof(QueueMax), QueueMax, 1),
            (nameof(FileBytesMax), FileBytesMax, 1 << 20),
            (nameof(ReserveBytes), ReserveBytes, 64 << 10),
            (nameof(RecentMax), RecentMax, 1),
            (nameof(BatchMax), BatchMax, 1),
            (nameof(TagValuesMax), TagValuesMax, 0),
        })
        {
            if (value < least)
            {
                yield return $"{Section}:{name} is {value}. It must be at least {least}.";
            }
        }

        if (Retention < TimeSpan.Zero)
        {
            yield return $"{Section}:{nameof(Retention)} is {Retention}. It must not be negative.";
        }

        if (Gather < TimeSpan.Zero || Gather > TimeSpan.FromSeconds(1))
        {
            yield return $"{Section}:{nameof(Gather)} is {Gather}. It must be from 0 to 1 s: the ledger is promised within 1 s.";
        }
    }
}

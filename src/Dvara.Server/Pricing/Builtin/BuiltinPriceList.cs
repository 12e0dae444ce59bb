using System.Buffers.Binary;
using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Dvara.Domain;
using Dvara.Domain.Pricing;

namespace Dvara.Server.Pricing.Builtin;

/// <summary>The prices that are shipped, from <c>model-prices.csv</c> beside this file.</summary>
/// <param name="CheckedOn">The newest date of the list: which of two lists is newer.</param>
/// <param name="Drafts">Every version, in the order of the file.</param>
internal sealed record BuiltinPriceList(DateOnly CheckedOn, IReadOnlyList<PriceDraft> Drafts)
{
    private const string Resource = "Dvara.Server.Pricing.Builtin.model-prices.csv";

    /// <exception cref="InvalidDataException">The list that was built in is not one; says why.</exception>
    public static BuiltinPriceList Load()
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Resource)!;
        var csv = new byte[stream.Length];
        stream.ReadExactly(csv);
        var (rows, errors) = PriceCsv.Read(csv);
        return errors.Count == 0
            ? Of([.. rows.Select(row => row.Draft)])
            : throw new InvalidDataException($"{Resource}: {string.Join(" ", errors.Select(error => error.Message))}");
    }

    public static BuiltinPriceList Of(IReadOnlyList<PriceDraft> drafts) => new(drafts.Max(draft => draft.CheckedOn ?? DateOnly.MinValue), drafts);

    /// <summary>The versions of every key by start, each ended by the next. A row without a start has been valid since ever.</summary>
    public Dictionary<PriceKey, List<PriceVersion>> Timelines(DateTimeOffset createdAt) => Drafts
        .Select(draft => Version(draft, draft.EffectiveFrom ?? DateTimeOffset.UnixEpoch, createdAt))
        .GroupBy(version => version.Key)
        .ToDictionary(group => group.Key, group => Chain([.. group.OrderBy(version => version.Price.EffectiveFrom)]));

    /// <summary>A shipped version. The same rates of the same model from the same instant have the same id on every installation.</summary>
    public static PriceVersion Version(PriceDraft draft, DateTimeOffset from, DateTimeOffset createdAt) =>
        Identified(draft.ToVersion(default, PriceSource.Builtin, from, createdAt));

    /// <summary>The same version with another start, and so another id.</summary>
    public static PriceVersion From(PriceVersion version, DateTimeOffset from) => Identified(version with { Price = version.Price with { EffectiveFrom = from } });

    private static PriceVersion Identified(PriceVersion version) => version with { Price = version.Price with { Id = IdOf(version.Price) } };

    private static List<PriceVersion> Chain(List<PriceVersion> versions)
    {
        for (var i = 0; i + 1 < versions.Count; i++)
        {
            var next = versions[i + 1].Price.EffectiveFrom;
            if (!(versions[i].Price.EffectiveTo < next))
            {
                versions[i] = versions[i] with { Price = versions[i].Price with { EffectiveTo = next } };
            }
        }

        return versions;
    }

    private static PriceId IdOf(Price price)
    {
        var text = string.Create(CultureInfo.InvariantCulture,
            $"builtin\n{price.Provider}\n{price.Model}\n{price.EffectiveFrom.ToUnixTimeMilliseconds()}\n{price.InputRate}\n{price.OutputRate}\n{price.CachedInputRate}\n{price.CacheWriteRate}\n{price.ReasoningRate}\n{price.PerRequest}");
        Span<byte> bytes = SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 16);
        // UUID version 8: made by a rule of our own.
        BinaryPrimitives.WriteUInt16BigEndian(bytes[6..], (ushort)((BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]) & 0x0FFF) | 0x8000));
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new(new Guid(bytes, bigEndian: true));
    }
}

using System.Buffers.Binary;
using System.Data.Common;
using System.Security.Cryptography;
using System.Text;
using Dvara.Domain;

namespace Dvara.Server.Metering;

/// <summary>
/// The seal of a batch: SHA-256 over the seal of the journal's batch before it, the batch's range, and every column of every row. A row
/// that is changed, removed, added or moved later breaks the chain from its batch on.
/// </summary>
internal static class LedgerDigest
{
    /// <param name="before">The seal of the batch before; null for the first.</param>
    /// <param name="journal">Whose batch it is.</param>
    /// <param name="range">First and last place of the batch.</param>
    /// <param name="rows">In journal order, columns in the order of <see cref="LedgerStore.ChargeColumns"/>.</param>
    public static byte[] Of(byte[]? before, JournalId journal, (long First, long Last) range, IEnumerable<object?[]> rows)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(before ?? []);
        hash.AppendData(journal.Value.ToByteArray(bigEndian: true));
        Append(hash, (byte)'i', range.First);
        Append(hash, (byte)'i', range.Last);
        foreach (var row in rows)
        {
            foreach (var value in row)
            {
                Append(hash, value);
            }
        }

        return hash.GetHashAndReset();
    }

    /// <summary>Computes every seal of a journal again from the rows as they are now.</summary>
    /// <returns>What is wrong, or null.</returns>
    public static async Task<string?> VerifyAsync(DbConnection connection, JournalId journal)
    {
        byte[]? before = null;
        var (through, charges) = (0L, 0L);
        foreach (var (first, last, count, digest) in await LedgerStore.ReadBatchesAsync(connection, journal))
        {
            var rows = LedgerStore.ReadCharges(connection, journal, first, last);
            if (first <= through || rows.Count != count || !Of(before, journal, (first, last), rows).AsSpan().SequenceEqual(digest))
            {
                return $"Batch {first} to {last} of journal {journal} is not what was written: it had {count} charges and has {rows.Count}.";
            }

            (before, through, charges) = (digest, last, charges + count);
        }

        var present = await LedgerStore.CountChargesAsync(connection, journal);
        return present == charges ? null : $"Journal {journal} wrote {charges} charges; the ledger has {present} in its name.";
    }

    private static void Append(IncrementalHash hash, object? value)
    {
        switch (value)
        {
            case null:
                hash.AppendData("n"u8);
                break;
            case long number:
                Append(hash, (byte)'i', number);
                break;
            case string text:
                Append(hash, (byte)'s', Encoding.UTF8.GetBytes(text));
                break;
            case Guid id:
                Append(hash, (byte)'b', id.ToByteArray(bigEndian: true));
                break;
            case byte[] bytes:
                Append(hash, (byte)'b', bytes);
                break;
            default:
                throw new InvalidOperationException($"A column of the ledger holds {value.GetType().Name}.");
        }
    }

    private static void Append(IncrementalHash hash, byte kind, ReadOnlySpan<byte> bytes)
    {
        Append(hash, kind, bytes.Length);
        hash.AppendData(bytes);
    }

    private static void Append(IncrementalHash hash, byte kind, long number)
    {
        Span<byte> bytes = stackalloc byte[9];
        bytes[0] = kind;
        BinaryPrimitives.WriteInt64BigEndian(bytes[1..], number);
        hash.AppendData(bytes);
    }
}

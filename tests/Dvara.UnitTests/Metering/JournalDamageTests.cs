using System.Text;
using Dvara.Domain.Metering;
using Dvara.Server.Metering;
using Dvara.Server.Storage;
using Microsoft.Data.Sqlite;
using Xunit;

namespace Dvara.UnitTests.Metering;

public sealed class JournalDamageTests : IAsyncLifetime
{
    private const int Charges = 40;

    private readonly MeteringFolder _folder = new();

    public async ValueTask InitializeAsync()
    {
        using var journal = _folder.OpenJournal();
        for (var i = 0; i < Charges; i++)
        {
            var intent = SomeAttempts.Intent() with { EndUser = $"user-{i:D3}" };
            await journal.NoteAsync(intent, CancellationToken.None);
            await journal.SettleAsync(SomeAttempts.Settled(intent));
        }

        await journal.NoteAsync(SomeAttempts.Intent() with { EndUser = "user-open" }, CancellationToken.None);
    }

    public ValueTask DisposeAsync() => _folder.DisposeAsync();

    [Fact]
    public void Whole_IsRead() => Assert.Equal((Charges, 1), ReadAll());

    [Fact]
    public void CutOffAnywhere_IsDamaged()
    {
        var whole = File.ReadAllBytes(_folder.JournalPath);
        for (var length = 1; length < whole.Length; length += 509)
        {
            File.WriteAllBytes(_folder.JournalPath, whole[..length]);

            var exception = Assert.Throws<JournalDamagedException>(() => ReadAll());
            Assert.Contains(_folder.JournalPath, exception.Message, StringComparison.Ordinal);
            Assert.Equal(length, new FileInfo(_folder.JournalPath).Length);
        }
    }

    [Theory]
    [InlineData("this is not a database, but it is longer than the hundred bytes of the header that a database begins with, is it not?")]
    [InlineData("x")]
    public void OtherContents_AreDamaged(string contents)
    {
        File.WriteAllText(_folder.JournalPath, contents);

        Assert.Throws<JournalDamagedException>(() => ReadAll());
        Assert.Equal(contents, File.ReadAllText(_folder.JournalPath));
    }

    [Theory]
    [InlineData("user-000")]
    [InlineData("user-039")]
    [InlineData("user-open")]
    public void ChangedByte_IsDamaged(string text)
    {
        var bytes = File.ReadAllBytes(_folder.JournalPath);
        // Everywhere: an intent that gave way to its charge is still to be found in free space.
        for (var at = 0; bytes.AsSpan(at).IndexOf(Encoding.UTF8.GetBytes(text)) is >= 0 and var found; at += found + 1)
        {
            bytes[at + found] ^= 1;
        }

        File.WriteAllBytes(_folder.JournalPath, bytes);

        Assert.Throws<JournalDamagedException>(() => ReadAll());
    }

    [Theory]
    [InlineData("UPDATE charges SET seq = seq + 1000")]
    [InlineData("UPDATE intents SET body = x'7b7d'")]
    [InlineData("UPDATE charges SET body_sum = body_sum + 1")]
    [InlineData("DELETE FROM head")]
    [InlineData("UPDATE head SET id = x'00'")]
    [InlineData("DROP TABLE charges")]
    [InlineData("PRAGMA user_version = 2")]
    [InlineData("PRAGMA application_id = 1")]
    public void ForeignHand_IsDamaged(string sql)
    {
        using (var connection = new SqliteConnection($"Data Source={_folder.JournalPath};Pooling=False"))
        {
            connection.Open();
            using var statement = new PreparedStatement(connection, sql);
            statement.Run();
        }

        Assert.Throws<JournalDamagedException>(() => ReadAll());
    }

    /// <summary>As a start does.</summary>
    private (int Charges, int Open) ReadAll()
    {
        using var journal = _folder.OpenJournal();
        var open = journal.Resume(0);
        IReadOnlyList<JournaledCharge> read = journal.ReadCharges(0, int.MaxValue);
        Assert.All(read, charge => Assert.Equal(ChargeState.Settled, charge.Charge.State));
        return (read.Count, open.Count);
    }
}

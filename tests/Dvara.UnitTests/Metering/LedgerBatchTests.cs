using System.Data.Common;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Metering;
using Xunit;

namespace Dvara.UnitTests.Metering;

public sealed class LedgerBatchTests : IAsyncLifetime
{
    private const string Sums = "SELECT coalesce(sum(requests), 0), coalesce(sum(input_cost_pico_usd + output_cost_pico_usd), 0) FROM ";

    private static readonly JournalId Journal = new(Guid.Parse("01890000-0000-7000-8000-00000000aaaa"));

    private readonly MeteringFolder _folder = new();
    private long _seq;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _folder.DisposeAsync();

    [Fact]
    public async Task SameBatch_FedAgain_CountsNothing()
    {
        var batch = Some(5);

        Assert.Equal(5, (await _folder.FeedAsync(Journal, batch)).Count);
        Assert.Empty(await _folder.FeedAsync(Journal, batch));
        Assert.Empty(await _folder.FeedAsync(Journal, batch[..3]));

        await AssertLedgerAsync(charges: 5);
    }

    [Fact]
    public async Task OverlappingBatch_AddsWhatIsMissing()
    {
        var all = Some(5);
        await _folder.FeedAsync(Journal, all[..3]);

        var added = await _folder.FeedAsync(Journal, all);

        Assert.Equal(all[3..].Select(c => c.Charge.Intent.AttemptId), added.Select(c => c.Intent.AttemptId));
        await AssertLedgerAsync(charges: 5);
    }

    [Fact]
    public async Task SameCharges_FromAnotherPlace_CountNothing()
    {
        // A journal put back to an older copy ends attempts again that the ledger has already.
        var batch = Some(4);
        await _folder.FeedAsync(Journal, batch);
        JournaledCharge[] again = [.. batch.Select(c => c with { Seq = c.Seq + 1000, Charge = c.Charge with { State = ChargeState.Unresolved, Cost = default } }), .. Some(1, 2000)];

        Assert.Single(await _folder.FeedAsync(Journal, again));

        await AssertLedgerAsync(charges: 5);
    }

    [Fact]
    public async Task Batch_OfAnEarlierEpoch_IsRefusedWhole()
    {
        await _folder.FeedAsync(Journal, Some(1));
        var old = new LedgerBatch(Journal, epoch: 1, MeteringFolder.Silo, _folder.Options, [], _folder.Clock);
        await _folder.FeedAsync(Journal, Some(1));

        foreach (var write in new Func<DbTransaction, Task>[]
        {
            t => old.WriteAsync(t, Some(1), after: 0, CancellationToken.None), t => old.QuarantineAsync(t, Some(1)[0], "because"),
        })
        {
            await Assert.ThrowsAsync<JournalTakenOverException>(
                () => _folder.Database.WriteAsync(Dvara.Server.Storage.WriteLane.Ledger, write, CancellationToken.None));
        }

        await AssertLedgerAsync(charges: 2);
    }

    [Fact]
    public async Task Digest_OfEveryBatch_IsComputedAgainFromTheRows()
    {
        for (var i = 0; i < 5; i++)
        {
            await _folder.FeedAsync(Journal, Some(3 + i));
        }

        var settled = SomeAttempts.Settled(SomeAttempts.Intent());
        await _folder.FeedAsync(Journal, Journaled(settled), Journaled(settled with { Revision = 1, Kind = RevisionKind.Correction, Cost = new(Usd.FromPico(-1), default) }));
        Assert.Null(await VerifyAsync());

        await _folder.RunAsync(MeteringFolder.Sql("DROP TRIGGER charges_are_append_only_update", "DROP TRIGGER charges_are_append_only ON charges"));
        await _folder.RunAsync("UPDATE charges SET output_cost_pico_usd = output_cost_pico_usd + 1 WHERE journal_seq = 7");
        Assert.Contains("Batch 4 to 7", await VerifyAsync(), StringComparison.Ordinal);
        await _folder.RunAsync("UPDATE charges SET output_cost_pico_usd = output_cost_pico_usd - 1 WHERE journal_seq = 7");
        Assert.Null(await VerifyAsync());

        await _folder.RunAsync("UPDATE charges SET journal_seq = 8000 WHERE journal_seq = 8");
        Assert.Contains("Batch 8 to 12", await VerifyAsync(), StringComparison.Ordinal);
        await _folder.RunAsync("UPDATE charges SET journal_seq = 8 WHERE journal_seq = 8000");

        await _folder.RunAsync("DELETE FROM journal_batches WHERE first_seq = 8");
        Assert.Contains("Batch 13", await VerifyAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task HostileText_StandsInTheRowAndBreaksNoDigest()
    {
        var texts = SomeAttempts.Hostile.Append("\ud800").ToList();
        foreach (var text in texts)
        {
            var charge = SomeAttempts.Settled(SomeAttempts.Intent(tags: new Dictionary<string, string> { [text] = text }) with { EndUser = text, IdempotencyKey = text });
            await _folder.FeedAsync(Journal, Journaled(charge with { ServedModel = text, ProviderRequestId = text, Outcome = text }));
        }

        await AssertLedgerAsync(texts.Count);
        var rows = await _folder.ReadAsync(
            "SELECT end_user, model FROM charges ORDER BY journal_seq", row => (row.GetString(0), row.GetString(1)));
        var stored = texts.Select(text => text.Replace('\0', '\ufffd').Replace('\ud800', '\ufffd')).ToList();
        Assert.Equal(stored, rows.Select(row => row.Item1));
        Assert.Equal(stored.Select(text => text[..Math.Min(text.Length, 256)]), rows.Select(row => row.Item2));
    }

    [Theory]
    [InlineData("UPDATE charges SET state = 'FAILED'")]
    [InlineData("DELETE FROM charges")]
    public async Task Charges_AreAppendOnly(string sql)
    {
        await _folder.FeedAsync(Journal, Some(1));

        await Assert.ThrowsAnyAsync<DbException>(() => _folder.RunAsync(sql));
    }

    [Fact]
    public async Task Tag_WithTooManyValuesADay_LeavesTheRollupForThatDay()
    {
        const string Rollups = "SELECT count(DISTINCT tag_value) FROM rollup_tag_hours WHERE tag_key = @p0 AND start_ms >= @p1 AND start_ms < @p1 + 86400000";
        _folder.Options.TagValuesMax = 3;
        var (today, tomorrow) = (SomeAttempts.Now, SomeAttempts.Now.AddDays(1));
        foreach (var value in new[] { "a", "b", "c", "a", "B" })
        {
            await _folder.FeedAsync(Journal, Tagged(today, ("Team", "one"), ("RUN", value)));
        }

        await _folder.FeedAsync(Journal, Tagged(tomorrow, ("run", "x")));
        await _folder.FeedAsync(Journal, Tagged(tomorrow, ("run", "y"), ("Run", "second spelling")));

        Assert.Equal(3, await _folder.CountAsync(Rollups, "run", Day(today)));
        Assert.Equal(1, await _folder.CountAsync(Rollups, "team", Day(today)));
        Assert.Equal(2, await _folder.CountAsync(Rollups, "run", Day(tomorrow)));
        Assert.Equal([(Day(today), "run")], await _folder.ReadAsync(
            "SELECT day_ms, tag_key FROM high_cardinality_tags", row => (row.GetInt64(0), row.GetString(1))));

        // The rollups without tags and the rows have everything.
        await AssertLedgerAsync(charges: 7);
        Assert.Equal(7, await _folder.CountAsync("SELECT count(*) FROM charges WHERE lower(tags) LIKE '%run%'"));
    }

    [Fact]
    public async Task Tag_BeyondTheGuard_WritesNoMoreRowsPerValue()
    {
        _folder.Options.TagValuesMax = 3;
        await _folder.FeedAsync(Journal, [.. Enumerable.Range(0, 300).Select(i => Tagged(SomeAttempts.Now, ("run", $"{i}")))]);
        await _folder.FeedAsync(Journal, [.. Enumerable.Range(300, 300).Select(i => Tagged(SomeAttempts.Now, ("run", $"{i}")))]);

        Assert.InRange(await _folder.CountAsync("SELECT count(*) FROM tag_values"), 3, 4);
        Assert.Equal(0, await _folder.CountAsync("SELECT count(*) FROM rollup_tag_hours"));
        await AssertLedgerAsync(charges: 600);
    }

    private async Task AssertLedgerAsync(int charges)
    {
        Assert.Equal(charges, await _folder.CountAsync("SELECT count(*) FROM charges"));
        foreach (var table in new[] { "charges", "rollup_hours", "rollup_minutes" })
        {
            Assert.Equal((charges, charges * 250L), Assert.Single(await _folder.ReadAsync(Sums + table, row => (row.GetInt32(0), row.GetInt64(1)))));
        }

        Assert.Null(await VerifyAsync());
    }

    private Task<string?> VerifyAsync() =>
        _folder.Database.ReadAsync(connection => LedgerDigest.VerifyAsync(connection, Journal), CancellationToken.None);

    private JournaledCharge[] Some(int count, long skip = 0)
    {
        _seq += skip;
        return [.. Enumerable.Range(0, count).Select(_ => Journaled(SomeAttempts.Settled(SomeAttempts.Intent())))];
    }

    private JournaledCharge Tagged(DateTimeOffset at, params (string Key, string Value)[] tags) =>
        Journaled(SomeAttempts.Settled(SomeAttempts.Intent(at, tags: tags.ToDictionary(t => t.Key, t => t.Value))));

    private JournaledCharge Journaled(Charge charge) => new(++_seq, SomeAttempts.Now, charge);

    private static long Day(DateTimeOffset at) => at.ToUnixTimeMilliseconds() / 86_400_000 * 86_400_000;
}

using System.Globalization;
using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Metering;
using Xunit;

namespace Dvara.UnitTests.Metering;

/// <summary>Any charges, fallbacks and revisions, in any batches: the rollups are the rows, and the counts are what the contract says.</summary>
public sealed class RollupTests : IAsyncLifetime
{
    private const string Measures = """
        sum(requests), sum(uncached_input), sum(cache_read), sum(cache_write), sum(output), sum(reasoning), sum(input_cost_pico_usd),
        sum(output_cost_pico_usd), sum(estimated_requests), sum(unpriced_requests), sum(unresolved_requests),
        """;

    private const string Rows = """
        coalesce(sum(requests), 0), coalesce(sum(uncached_input), 0), coalesce(sum(cache_read), 0), coalesce(sum(cache_write), 0),
        coalesce(sum(output), 0), coalesce(sum(reasoning), 0), sum(input_cost_pico_usd), sum(output_cost_pico_usd), sum(estimated_requests),
        sum(unpriced_requests), sum(unresolved_requests), sum(lower_bound_pico_usd), sum(failed_attempts)
        """;

    private static readonly JournalId Journal = new(Guid.Parse("01890000-0000-7000-8000-00000000aaaa"));

    private static readonly Gen<Dictionary<string, string>> Tags = Gen.Dictionary(Gen.OneOf("team", "Team", "RUN"), Gen.OneOf("a", "A", "", "b:c"))[0, 2];

    /// <summary>Often the first or the last millisecond of a minute, an hour or a day.</summary>
    private static readonly Gen<DateTimeOffset> Instant =
        from edge in Gen.OneOf(60_000L, 3_600_000L, 86_400_000L)
        from times in Gen.Int[0, 3]
        from beside in Gen.Int[-1, 1]
        select SomeAttempts.Now.AddMilliseconds((edge * times) + beside);

    private static readonly Gen<(ChargeState State, TokenUsage? Usage, long Pico)> End =
        from state in Gen.Enum<ChargeState>()
        from usage in SomeAttempts.AnyUsage.Null()
        from pico in Gen.Long[-1_000_000_000_000, 1_000_000_000_000]
        select (state, usage, pico);

    private static readonly Gen<List<List<Charge>>> Requests = (
        from at in Instant
        from provider in Gen.OneOf("openai", "mock")
        from key in Gen.Int[1, 2]
        from tags in Tags
        from attempts in End.Array[1, 3].Array[1, 3]
        select MakeRequest(at, provider, key, tags, attempts)).List[1, 12];

    private readonly MeteringFolder _folder = new();
    private long _seq;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _folder.DisposeAsync();

    [Fact]
    public async Task Rollups_OfAnyCharges_AreTheirRows() =>
        await Gen.Select(Requests, Gen.Int[1, 7], Gen.Int).SampleAsync(
            async (requests, batchSize, seed) =>
            {
                // A tenant of its own: the ledger is shared by all samples, which saves making one each time.
                var tenant = new TenantId(Guid.NewGuid());
                var charges = Interleave(requests, seed).Select(charge => Of(charge, tenant)).ToList();
                foreach (var batch in charges.Chunk(batchSize))
                {
                    await _folder.FeedAsync(Journal, [.. batch.Select(charge => new JournaledCharge(Interlocked.Increment(ref _seq), SomeAttempts.Now, charge))]);
                }

                await AssertRollupAsync("rollup_hours", 3_600_000, tenant);
                await AssertRollupAsync("rollup_minutes", 60_000, tenant);
                await AssertTagsAsync(charges, tenant);
                await AssertCountsAsync(charges, tenant);
            },
            iter: 60,
            threads: 1);

    private static List<Charge> MakeRequest(
        DateTimeOffset at, string provider, int key, Dictionary<string, string> tags, (ChargeState State, TokenUsage? Usage, long Pico)[][] attempts)
    {
        var request = new RequestId(Guid.NewGuid());
        var charges = new List<Charge>();
        for (var attempt = 0; attempt < attempts.Length; attempt++)
        {
            var intent = SomeAttempts.Intent(at.AddMilliseconds(attempt), request, attempt + 1, tags: tags) with
            {
                Provider = provider, ApiKeyId = new(new Guid(key, 0, 0, new byte[8])),
            };
            charges.AddRange(attempts[attempt].Select((end, revision) => SomeAttempts.Settled(intent) with
            {
                Revision = revision,
                Kind = revision == 0 ? RevisionKind.Original : RevisionKind.Correction,
                State = end.State,
                Usage = end.Usage,
                Cost = new(Usd.FromPico(end.Pico), Usd.FromPico(end.Pico / 3)),
                LowerBound = Usd.FromPico(end.Pico / 7),
            }));
        }

        return charges;
    }

    /// <summary>In any order that can be: an attempt begins after the one before it has ended, revisions come whenever they come.</summary>
    private static IEnumerable<Charge> Interleave(List<List<Charge>> requests, int seed)
    {
        var random = new Random(seed);
        var left = requests.SelectMany(request => request).ToList();
        while (left.Count > 0)
        {
            var next = left[random.Next(left.Count)];
            var first = left.First(charge => charge.Intent.AttemptId == next.Intent.AttemptId);
            if (first.Revision == 0)
            {
                first = left.First(charge => charge.Intent.RequestId == next.Intent.RequestId && charge.Revision == 0);
            }

            left.Remove(first);
            yield return first;
        }
    }

    /// <summary>Other ids, so that a sample that is shrunk is not taken for one that was fed before.</summary>
    private static Charge Of(Charge charge, TenantId tenant)
    {
        var intent = charge.Intent;
        return charge with
        {
            Intent = intent with
            {
                TenantId = tenant, AttemptId = new(Mix(intent.AttemptId.Value, tenant)), RequestId = new(Mix(intent.RequestId.Value, tenant)),
            },
        };
    }

    private static Guid Mix(Guid id, TenantId tenant)
    {
        var (bytes, other) = (id.ToByteArray(bigEndian: true), tenant.Value.ToByteArray(bigEndian: true));
        for (var i = 8; i < 16; i++)
        {
            bytes[i] ^= other[i];
        }

        return new(bytes, bigEndian: true);
    }

    private async Task AssertRollupAsync(string table, long unitMs, TenantId tenant)
    {
        var rows = await ReadAsync(
            $"SELECT at_ms - at_ms % {unitMs}, api_key_id, provider, model, {Rows} FROM charges WHERE tenant_id = @p0 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4", tenant);
        var rollup = await ReadAsync(
            $"SELECT start_ms, api_key_id, provider, model, {Measures} sum(unresolved_lower_bound_pico_usd), sum(failed_attempts) FROM {table} "
            + "WHERE tenant_id = @p0 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
            tenant);

        Assert.NotEmpty(rows);
        Assert.Equal(rows, rollup);
    }

    private async Task AssertTagsAsync(List<Charge> charges, TenantId tenant)
    {
        var expected = charges
            .SelectMany(charge => charge.Intent.Tags.GroupBy(t => t.Key.ToUpperInvariant()).Select(t => (Tag: $"{t.Key}={t.First().Value}", Cost: charge.Cost.Total.PicoUsd)))
            .GroupBy(t => t.Tag, t => t.Cost)
            .Select(t => $"{t.Key}: {t.Aggregate(Int128.Zero, (sum, cost) => sum + cost)}")
            .Order(StringComparer.Ordinal);
        var actual = await _folder.ReadAsync(
            "SELECT upper(tag_key), tag_value, sum(input_cost_pico_usd + output_cost_pico_usd) FROM rollup_tag_hours WHERE tenant_id = @p0 GROUP BY 1, 2",
            row => $"{row.GetString(0)}={row.GetString(1)}: {row.GetValue(2)}",
            tenant.Value);

        Assert.Equal(expected, actual.Order(StringComparer.Ordinal));
    }

    /// <summary>From the charges alone: a request counts once when any of its attempts is billable; an attempt is what its last revision says.</summary>
    private async Task AssertCountsAsync(List<Charge> charges, TenantId tenant)
    {
        var attempts = charges.GroupBy(charge => charge.Intent.AttemptId).Select(revisions => revisions.MaxBy(charge => charge.Revision)!).ToList();
        long[] expected =
        [
            attempts.Where(charge => charge.State != ChargeState.Failed).DistinctBy(charge => charge.Intent.RequestId).Count(),
            .. new[] { ChargeState.Estimated, ChargeState.Unpriced, ChargeState.Unresolved, ChargeState.Failed }
                .Select(state => (long)attempts.Count(charge => charge.State == state)),
        ];
        var actual = Assert.Single(await _folder.ReadAsync(
            "SELECT sum(requests), sum(estimated_requests), sum(unpriced_requests), sum(unresolved_requests), sum(failed_attempts) FROM rollup_hours WHERE tenant_id = @p0",
            row => Enumerable.Range(0, 5).Select(i => Convert.ToInt64(row.GetValue(i), CultureInfo.InvariantCulture)).ToArray(),
            tenant.Value));

        Assert.Equal(expected, actual);
    }

    private Task<List<string>> ReadAsync(string sql, TenantId tenant) => _folder.ReadAsync(
        sql,
        row => string.Join(' ', Enumerable.Range(0, row.FieldCount).Select(i => row.GetValue(i) is byte[] bytes ? $"{new Guid(bytes, bigEndian: true)}" : $"{row.GetValue(i)}")),
        tenant.Value);
}

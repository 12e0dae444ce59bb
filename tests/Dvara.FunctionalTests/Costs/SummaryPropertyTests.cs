using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Costs;
using Dvara.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

/// <summary>Every summary against a naive sum in memory over the very same charges.</summary>
public sealed class SummaryPropertyTests(SummaryPropertyTests.Ledger ledger) : IClassFixture<SummaryPropertyTests.Ledger>
{
    private static readonly DateTimeOffset Start = new(2026, 4, 29, 22, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset Now = new(2026, 5, 2, 12, 34, 56, TimeSpan.Zero);
    private static readonly string[] Dimensions =
        ["provider", "model", "apiKey", "tenant", "day", "hour", "tag:project", "tag:TEAM", "tag:Env", "tag:never"];

    [Fact]
    public Task Summary_OfAnyQuery_EqualsTheSumOverTheCharges() =>
        Queries.SampleAsync(
            async number =>
            {
                var query = Query(new Random(number));
                var tally = await TallyAsync(query);
                var expected = Naive(query);

                Assert.True(tally.Total == expected.Total, $"seed {ledger.Seed}, {query}: total {tally.Total}, expected {expected.Total}");
                var groups = tally.Groups().ToDictionary(g => string.Join('|', g.Key.Select(part => part ?? "\0")), g => g.Sums);
                Assert.True(
                    groups.Count == expected.Groups.Count && expected.Groups.All(g => groups.TryGetValue(g.Key, out var sums) && sums == g.Value),
                    $"seed {ledger.Seed}, query {number}: groups differ");
            },
            iter: 300,
            threads: 1);

    [Fact]
    public Task Summary_OfAnyPartitionOfAWindow_AddsUpToTheWhole() =>
        Queries.SampleAsync(
            async number =>
            {
                var random = new Random(number);
                var query = Query(random);
                var whole = (await TallyAsync(query)).Total;
                var cuts = Enumerable.Range(0, random.Next(1, 6))
                    .Select(_ => SomeCharges.Instant(random, query.Filter.Window.From, query.Filter.Window.To.AddMilliseconds(1)))
                    .Append(query.Filter.Window.From).Append(query.Filter.Window.To)
                    .Where(cut => cut >= query.Filter.Window.From)
                    .Order().ToList();

                var parts = default(Sums);
                foreach (var (from, to) in cuts.Zip(cuts.Skip(1)))
                {
                    parts += (await TallyAsync(query with { Filter = query.Filter with { Window = new(from, to) } })).Total;
                }

                Assert.True(parts == whole, $"seed {ledger.Seed}, query {number}: parts {parts}, whole {whole}");
            },
            iter: 100,
            threads: 1);

    [Fact]
    public async Task Summary_BeyondSixtyFourBits_IsExact()
    {
        await using var ledger = await TestLedger.CreateAsync();
        var most = Usd.FromPico(long.MaxValue);
        var charges = Enumerable.Range(0, 4).Select(hour => SomeCharges.At(Start.AddHours(hour)) with
        {
            Cost = new(most, Usd.Zero),
            Usage = new() { UncachedInput = long.MaxValue },
        });
        await LedgerSeed.AddAsync(ledger.Database, charges, Now);
        var tally = new CostTally([]);

        await new SummaryStore(ledger.Database, TimeProvider.System).ReadAsync(
            new(new() { Window = new(Start, Now) }, []), tally, CancellationToken.None);

        Assert.Equal((Int128)long.MaxValue * 4, tally.Total.CostPicoUsd);
        Assert.Equal((Int128)long.MaxValue * 4, tally.Total.InputTokens);
    }

    private static Gen<int> Queries => Gen.Int.NonNegative;

    private static SummaryQuery Query(Random random)
    {
        var (one, other) = (SomeCharges.Instant(random, Start, Now), SomeCharges.Instant(random, Start, Now.AddHours(2)));
        var tenant = random.Next(3) == 0 ? (int?)random.Next(3) : null;
        return new(
            new()
            {
                Window = one < other ? new(one, other) : new(other, one),
                TenantId = tenant is { } t ? SomeCharges.Tenants[t] : null,
                ApiKeyId = random.Next(5) == 0 ? SomeCharges.Keys[random.Next(6)] : null,
                Provider = random.Next(5) == 0 ? "mock" : null,
                Model = random.Next(5) == 0 ? "gpt-4o" : null,
                Tags = random.Next(3) == 0 ? [TagFilter.Parse(random.Next(2) == 0 ? "PROJECT:a" : "team:x:y")!] : [],
            },
            [.. Dimensions.Where(_ => random.Next(5) == 0).Select(Dimension)]);
    }

    private static CostDimension Dimension(string name) => name.StartsWith("tag:", StringComparison.Ordinal)
        ? CostDimension.OfTag(name["tag:".Length..])
        : new(name, Enum.Parse<CostDimensionKind>(name, ignoreCase: true));

    private async Task<CostTally> TallyAsync(SummaryQuery query)
    {
        var tally = new CostTally(query.Dimensions);
        await ledger.Store.ReadAsync(query, tally, CancellationToken.None);
        Assert.False(tally.IsOverfull);
        return tally;
    }

    /// <summary>The sum as one would write it on paper: by attempt, its last state, its first billable attempt.</summary>
    private (Sums Total, Dictionary<string, Sums> Groups) Naive(SummaryQuery query)
    {
        var first = ledger.Charges
            .GroupBy(c => c.Intent.AttemptId)
            .Select(attempt => attempt.Last())
            .Where(last => last.State != ChargeState.Failed)
            .GroupBy(last => last.Intent.RequestId)
            .Select(request => request.MinBy(last => last.Intent.Attempt)!.Intent.AttemptId)
            .ToHashSet();
        var attempts = ledger.Charges.GroupBy(c => c.Intent.AttemptId).Where(a => Matches(query.Filter, a.First())).ToList();
        return (
            attempts.Select(Add).Aggregate(default(Sums), (sum, a) => sum + a),
            query.Dimensions.Count == 0
                ? []
                : attempts.GroupBy(a => string.Join('|', query.Dimensions.Select(d => Value(d, a.First()) ?? "\0")))
                    .ToDictionary(g => g.Key, g => g.Select(Add).Aggregate(default(Sums), (sum, a) => sum + a)));

        Sums Add(IGrouping<AttemptId, Charge> attempt)
        {
            var state = attempt.Last().State;
            return new()
            {
                Requests = first.Contains(attempt.Key) ? 1 : 0,
                UncachedInput = attempt.Sum(c => c.Usage?.UncachedInput ?? 0),
                CacheRead = attempt.Sum(c => c.Usage?.CacheRead ?? 0),
                CacheWrite = attempt.Sum(c => c.Usage?.CacheWrite ?? 0),
                Output = attempt.Sum(c => c.Usage?.Output ?? 0),
                Reasoning = attempt.Sum(c => c.Usage?.Reasoning ?? 0),
                InputCostPicoUsd = attempt.Aggregate(Usd.Zero, (sum, c) => sum + c.Cost.Input).PicoUsd,
                OutputCostPicoUsd = attempt.Aggregate(Usd.Zero, (sum, c) => sum + c.Cost.Output).PicoUsd,
                UnresolvedLowerBoundPicoUsd = attempt.Aggregate(Usd.Zero, (sum, c) => sum + c.LowerBound).PicoUsd,
                EstimatedRequests = state == ChargeState.Estimated ? 1 : 0,
                UnpricedRequests = state == ChargeState.Unpriced ? 1 : 0,
                UnresolvedRequests = state == ChargeState.Unresolved ? 1 : 0,
                FailedAttempts = state == ChargeState.Failed ? 1 : 0,
            };
        }
    }

    private static bool Matches(CostFilter filter, Charge charge) =>
        filter.Window.Contains(charge.Intent.AttemptId.IntentTime)
        && (filter.TenantId is null || filter.TenantId == charge.Intent.TenantId)
        && (filter.ApiKeyId is null || filter.ApiKeyId == charge.Intent.ApiKeyId)
        && (filter.Provider is null || filter.Provider == charge.Intent.Provider)
        && (filter.Model is null || filter.Model == charge.ServedModel)
        && filter.Tags.All(tag => TagOf(charge, tag.Key) == tag.Value);

    private static string? Value(CostDimension dimension, Charge charge) => dimension.Kind switch
    {
        CostDimensionKind.Provider => charge.Intent.Provider,
        CostDimensionKind.Model => charge.ServedModel,
        CostDimensionKind.ApiKey => charge.Intent.ApiKeyId.ToString(),
        CostDimensionKind.Tenant => charge.Intent.TenantId.ToString(),
        CostDimensionKind.Day => charge.Intent.AttemptId.IntentTime.ToString("yyyy-MM-dd"),
        CostDimensionKind.Hour => charge.Intent.AttemptId.IntentTime.ToString("yyyy-MM-ddTHH:00:00Z"),
        _ => TagOf(charge, dimension.TagKey!),
    };

    private static string? TagOf(Charge charge, string key) =>
        charge.Intent.Tags.Where(tag => tag.Key.Equals(key, StringComparison.OrdinalIgnoreCase)).Select(tag => tag.Value).FirstOrDefault();

    /// <summary>Filled once: nothing here writes to it.</summary>
    public sealed class Ledger : IAsyncLifetime
    {
        private TestLedger _ledger = null!;

        public int Seed { get; } = Random.Shared.Next();

        public List<Charge> Charges { get; private set; } = null!;

        internal SummaryStore Store { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Charges = SomeCharges.Random(new Random(Seed), Start, Now, 600);
            _ledger = await TestLedger.CreateAsync();
            Store = new(_ledger.Database, new FakeTimeProvider(Now));
            await LedgerSeed.AddAsync(_ledger.Database, Charges, Now, SomeCharges.TagValuesPerDay);
        }

        public ValueTask DisposeAsync() => _ledger.DisposeAsync();
    }
}

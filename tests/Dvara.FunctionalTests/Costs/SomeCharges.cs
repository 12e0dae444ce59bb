using Dvara.Domain;
using Dvara.Domain.Metering;

namespace Dvara.FunctionalTests.Costs;

/// <summary>Charges to read back: one that says what matters, or many at random.</summary>
internal static class SomeCharges
{
    public static readonly TenantId[] Tenants = [.. Enumerable.Range(1, 3).Select(i => new TenantId(Id(i)))];
    public static readonly ApiKeyId[] Keys = [.. Enumerable.Range(11, 6).Select(i => new ApiKeyId(Id(i)))];
    public static readonly string[] TagKeys = ["Project", "team", "Env"];
    private static readonly string[] Values = ["a", "x:y", "(untagged)", "d", "e", "f"];

    /// <summary>Values per tag key on every day but the first of a month, on which there are more.</summary>
    public const int TagValuesPerDay = 4;

    /// <summary>A settled charge of 1,000 input and 500 output tokens: 0.0025 + 0.005 USD.</summary>
    public static Charge At(
        DateTimeOffset at, string provider = "openai", string model = "gpt-4o", IReadOnlyDictionary<string, string>? tags = null, int tenant = 0, int key = 0) =>
        new()
        {
            Intent = new()
            {
                AttemptId = AttemptId.At(at),
                RequestId = new(Guid.CreateVersion7(at)),
                Attempt = 1,
                TenantId = Tenants[tenant],
                ApiKeyId = Keys[key],
                Provider = provider,
                Model = model,
                RequestedModel = $"{provider}/{model}",
                Endpoint = "/v1/chat/completions",
                Stream = false,
                Tags = tags ?? Intent.NoTags,
                EndUser = "someone",
            },
            State = ChargeState.Settled,
            ServedModel = model,
            Usage = new() { UncachedInput = 900, CacheRead = 100, Output = 400, Reasoning = 100 },
            Cost = new(Usd.FromDecimal(0.0025m), Usd.FromDecimal(0.005m)),
            PriceId = new(Id(99)),
            LatencyMs = 321,
            Status = 200,
        };

    /// <summary>Attempts in every state, some with a fallback before them, some corrected, many on the edges of hours and minutes.</summary>
    public static List<Charge> Random(Random random, DateTimeOffset from, DateTimeOffset to, int count)
    {
        var charges = new List<Charge>();
        for (var i = 0; i < count; i++)
        {
            var tenant = random.Next(Tenants.Length);
            var at = Instant(random, from, to);
            var charge = At(
                at,
                Pick(random, "openai", "mock"),
                Pick(random, "gpt-4o", "gpt-4o-mini", "other"),
                Tags(random, at.Day == 1 ? Values : Values[..TagValuesPerDay]),
                tenant,
                (tenant * 2) + random.Next(2));
            charge = End(random, charge);
            charges.Add(charge);
            if (random.Next(6) == 0)
            {
                charges.Add(Correct(random, charge));
            }
            else if (random.Next(6) == 0)
            {
                charges.Add(Again(random, charge));
            }
        }

        return charges;
    }

    /// <summary>An instant of the window; often the first or last millisecond of an hour or a minute.</summary>
    public static DateTimeOffset Instant(Random random, DateTimeOffset from, DateTimeOffset to)
    {
        var ms = random.NextInt64(from.ToUnixTimeMilliseconds(), to.ToUnixTimeMilliseconds());
        var unit = random.Next(4) switch { 0 => 3_600_000, 1 => 60_000, 2 => 86_400_000, _ => 1 };
        var edge = ms - (ms % unit) - (unit > 1 ? random.Next(2) : 0);
        return DateTimeOffset.FromUnixTimeMilliseconds(Math.Max(edge, from.ToUnixTimeMilliseconds()));
    }

    private static Charge End(Random random, Charge charge) => (ChargeState)random.Next(5) switch
    {
        ChargeState.Failed => charge with { State = ChargeState.Failed, Usage = null, Cost = default, PriceId = null, Status = 429 },
        ChargeState.Unresolved => charge with
        {
            State = ChargeState.Unresolved, Usage = null, Cost = default, LowerBound = Amount(random), Status = null, Outcome = "provider_timeout",
        },
        ChargeState.Unpriced => charge with { State = ChargeState.Unpriced, Usage = Usage(random, UsageSource.Reported), Cost = default, PriceId = null },
        var state => charge with
        {
            State = state,
            Usage = Usage(random, state == ChargeState.Estimated ? UsageSource.Estimated : UsageSource.Reported),
            Cost = new(Amount(random), Amount(random)),
        },
    };

    private static Charge Correct(Random random, Charge charge) => charge with
    {
        Revision = 1,
        Kind = Pick(random, RevisionKind.Correction, RevisionKind.Reprice, RevisionKind.Resolution),
        State = Pick(random, ChargeState.Failed, ChargeState.Settled, ChargeState.Estimated),
        Usage = new() { UncachedInput = random.Next(-50, 50), Output = random.Next(-50, 50) },
        Cost = new(-Amount(random), Amount(random)),
        LowerBound = -charge.LowerBound,
    };

    private static Charge Again(Random random, Charge charge) => End(random, charge) with
    {
        Intent = charge.Intent with { AttemptId = AttemptId.At(charge.Intent.AttemptId.IntentTime.AddMilliseconds(1)), Attempt = 2 },
    };

    private static Dictionary<string, string> Tags(Random random, string[] values) => TagKeys
        .Where(_ => random.Next(2) == 0)
        .ToDictionary(key => random.Next(2) == 0 ? key : key.ToUpperInvariant(), _ => Pick(random, values));

    private static TokenUsage Usage(Random random, UsageSource source) => new()
    {
        UncachedInput = random.Next(100_000),
        CacheRead = random.Next(2) == 0 ? null : random.Next(1000),
        CacheWrite = random.Next(2) == 0 ? null : random.Next(1000),
        Output = random.Next(100_000),
        Reasoning = random.Next(2) == 0 ? null : random.Next(1000),
        Source = source,
    };

    private static Usd Amount(Random random) => Usd.FromPico(random.NextInt64(1_000_000_000_000_000));

    private static T Pick<T>(Random random, params T[] choices) => choices[random.Next(choices.Length)];

    private static Guid Id(int number) => Guid.Parse($"01890000-0000-7000-8000-{number:D12}");
}

using CsCheck;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Domain.Pricing;

namespace Dvara.UnitTests.Metering;

/// <summary>Attempts and charges: one that says what matters, or any.</summary>
internal static class SomeAttempts
{
    public static readonly DateTimeOffset Now = new(2026, 4, 10, 12, 0, 0, TimeSpan.Zero);

    public static readonly TenantId Tenant = new(Guid.Parse("01890000-0000-7000-8000-000000000001"));

    /// <summary>1 pico-dollar per input token, 3 per output token.</summary>
    public static readonly Price Price = new()
    {
        Id = new(Guid.Parse("01890000-0000-7000-8000-000000000099")),
        Provider = "openai",
        Model = "gpt-4o",
        InputRate = 1,
        OutputRate = 3,
        EffectiveFrom = Now.AddYears(-1),
        Source = PriceSource.Builtin,
    };

    /// <summary>What makes trouble in text: quotes, controls, marks of direction, characters beyond 16 bits, SQL, very long words.</summary>
    public static readonly string[] Hostile =
    [
        "", " ", "\"", "\\", "'; DROP TABLE charges; --", "\0", "a\0b", "\r\n", "\u2028\u2029", "\ufeff", "\u202etxt", "\U0001f600", "é\u0301", "</script>",
        "{\"a\":1}", "null", "=1+1", new string('x', 100_000),
    ];

    private static readonly Gen<string> Text = Gen.OneOf(Gen.String, Gen.OneOf(Hostile));

    private static readonly Gen<long?> Tokens = Gen.Long[0, 1_000_000_000].Nullable();

    public static readonly Gen<TokenUsage> AnyUsage =
        from uncached in Tokens
        from read in Tokens
        from write in Tokens
        from output in Tokens
        from reasoning in Tokens
        from source in Gen.Enum<UsageSource>()
        select new TokenUsage
        {
            UncachedInput = uncached, CacheRead = read, CacheWrite = write, Output = output, Reasoning = reasoning, Source = source,
        };

    public static readonly Gen<Intent> AnyIntent =
        from id in Gen.Guid
        from names in Text.Array[5]
        from tags in Gen.Dictionary(Text, Text)[0, 5]
        from user in Text.Null()
        from key in Text.Null()
        from attempt in Gen.Int
        from stream in Gen.Bool
        from input in Tokens
        select new Intent
        {
            AttemptId = AttemptId.At(Now), RequestId = new(id), Attempt = attempt, TenantId = new(id), ApiKeyId = new(id),
            Provider = names[0], Model = names[1], RequestedModel = names[2], Endpoint = names[3], Stream = stream, Tags = tags,
            EndUser = user, IdempotencyKey = key, EstimatedInputTokens = input,
        };

    public static readonly Gen<Charge> AnyCharge =
        from intent in AnyIntent
        from usage in AnyUsage.Null()
        from revision in Gen.Int[0, 5]
        from kind in Gen.Enum<RevisionKind>()
        from state in Gen.Enum<ChargeState>()
        from texts in Text.Null().Array[2]
        from model in Text
        from amounts in Gen.Long.Array[3]
        from note in Text.Null()
        from isOrdered in Gen.Bool
        from price in Gen.Guid.Nullable()
        from latency in Gen.Long
        from status in Gen.Int.Nullable()
        select new Charge
        {
            Intent = intent, Revision = revision, Kind = kind, State = state, ServedModel = model, Usage = usage,
            // Wider than 64 bits: the journal takes what the ledger may refuse.
            Cost = new(new Usd((Int128)amounts[0] * 1000), Usd.FromPico(amounts[1])), LowerBound = Usd.FromPico(amounts[2]),
            PriceId = price is { } id ? new PriceId(id) : null, LatencyMs = latency, Status = status, Outcome = texts[0], ProviderRequestId = texts[1],
            Order = isOrdered ? new RevisionOrder(model, intent.RequestId, Now, note) : null,
        };

    public static Intent Intent(
        DateTimeOffset? at = null, RequestId? request = null, int attempt = 1, long? input = 10, IReadOnlyDictionary<string, string>? tags = null) => new()
    {
        AttemptId = AttemptId.At(at ?? Now),
        RequestId = request ?? new(Guid.NewGuid()),
        Attempt = attempt,
        TenantId = Tenant,
        ApiKeyId = new(Tenant.Value),
        Provider = Price.Provider,
        Model = Price.Model,
        RequestedModel = Price.Model,
        Endpoint = "/v1/chat/completions",
        Stream = true,
        EstimatedInputTokens = input,
        Tags = tags ?? Domain.Metering.Intent.NoTags,
    };

    /// <summary>100 input and 50 output tokens: 250 pico-dollars.</summary>
    public static Charge Settled(Intent intent) => new()
    {
        Intent = intent,
        State = ChargeState.Settled,
        ServedModel = intent.Model,
        Usage = new() { UncachedInput = 100, Output = 50 },
        Cost = new(Usd.FromPico(100), Usd.FromPico(150)),
        PriceId = Price.Id,
        Status = 200,
        LatencyMs = 7,
    };

    /// <summary>Records compare dictionaries by reference.</summary>
    public static bool Same(Intent left, Intent right) =>
        left with { Tags = right.Tags } == right && left.Tags.OrderBy(t => t.Key, StringComparer.Ordinal).SequenceEqual(right.Tags.OrderBy(t => t.Key, StringComparer.Ordinal));

    public static bool Same(Charge left, Charge right) => Same(left.Intent, right.Intent) && left with { Intent = right.Intent } == right;
}

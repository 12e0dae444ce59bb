using System.Text;
using System.Text.Json;
using CsCheck;
using Dvara.Domain;
using Dvara.Providers;
using Dvara.Providers.OpenAI;
using Xunit;

namespace Dvara.UnitTests.Providers;

public sealed class OpenAiUsageTests
{
    /// <summary>What hosts send, and uncached, read, write, output, reasoning that it means.</summary>
    public static TheoryData<string, string, long?[]> Believed => new()
    {
        { "plain", """{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}""", [9, null, null, 12, null] },
        {
            "openai", """{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"cached_tokens":60,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":30,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}""",
            [40, 60, null, 20, 30]
        },
        { "cache write", """{"prompt_tokens":100,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":30}}""", [10, 60, 30, 1, null] },
        { "null details", """{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":null,"completion_tokens_details":null}""", [9, null, null, 1, null] },
        { "null parts", """{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":null}}""", [9, null, null, 1, null] },
        {
            "deepseek", """{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}""",
            [5, 4, null, 1, null]
        },
        { "deepseek, only the parts", """{"completion_tokens":1,"prompt_cache_hit_tokens":4,"prompt_cache_miss_tokens":5}""", [5, 4, null, 1, null] },
        { "moonshot", """{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10,"cached_tokens":3}""", [6, 3, null, 1, null] },
        {
            "xai, reasoning on top", """{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"prompt_tokens_details":{"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":94},"cost_in_usd_ticks":1}""",
            [26, 6, null, 9, 94]
        },
        { "google, thoughts only in the total", """{"prompt_tokens":10,"completion_tokens":5,"total_tokens":115}""", [10, null, null, 5, 100] },
        { "no prompt but a total", """{"completion_tokens":5,"total_tokens":15}""", [10, null, null, 5, null] },
        { "no completion but a total", """{"prompt_tokens":10,"total_tokens":15}""", [10, null, null, 5, null] },
        {
            "both sides at their bound", """{"prompt_tokens":1000000000,"completion_tokens":1000000000,"total_tokens":2000000000}""",
            [1_000_000_000, null, null, 1_000_000_000, null]
        },
        { "groq, timings in it", """{"queue_time":0.01,"prompt_tokens":9,"prompt_time":0.1,"completion_tokens":1,"total_tokens":10}""", [9, null, null, 1, null] },
    };

    public static TheoryData<string, string, long?[]> Clamped => new()
    {
        { "cached > prompt", """{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":10}}""", [0, 9, null, 1, null] },
        { "cached + write > prompt", """{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":5}}""", [0, 5, 4, 1, null] },
        { "reasoning > completion", """{"prompt_tokens":9,"completion_tokens":4,"completion_tokens_details":{"reasoning_tokens":5}}""", [9, null, null, 0, 4] },
        { "total < sum", """{"prompt_tokens":9,"completion_tokens":4,"total_tokens":4}""", [9, null, null, 4, null] },
        { "total fits neither reading", """{"prompt_tokens":9,"completion_tokens":4,"total_tokens":20,"completion_tokens_details":{"reasoning_tokens":2}}""", [9, null, null, 2, 2] },
    };

    [Theory]
    [MemberData(nameof(Believed))]
    public void Read_KnownConventions_GiveDisjointBuckets(string host, string usage, long?[] buckets)
    {
        var reading = Read(usage);

        Assert.True(!reading.Refused && !reading.Clamped, host);
        Assert.Equal(buckets, Buckets(reading.Usage!));
    }

    [Theory]
    [MemberData(nameof(Clamped))]
    public void Read_PartsBeyondTheirWhole_AreClampedAndSaidSo(string trap, string usage, long?[] buckets)
    {
        var reading = Read(usage);

        Assert.True(reading.Clamped && !reading.Refused, trap);
        Assert.Equal(buckets, Buckets(reading.Usage!));
    }

    [Theory]
    [InlineData("""{"prompt_tokens":-1,"completion_tokens":1}""")]
    [InlineData("""{"prompt_tokens":1,"completion_tokens":-1}""")]
    [InlineData("""{"prompt_tokens":1.5,"completion_tokens":1}""")]
    [InlineData("""{"prompt_tokens":1.0,"completion_tokens":1}""")]
    [InlineData("""{"prompt_tokens":1e2,"completion_tokens":1}""")]
    [InlineData("""{"prompt_tokens":"1","completion_tokens":1}""")]
    [InlineData("""{"prompt_tokens":18446744073709551616,"completion_tokens":1}""")]
    [InlineData("""{"prompt_tokens":1000000001,"completion_tokens":1}""")]
    [InlineData("""{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2000000001}""")]
    [InlineData("""{"prompt_tokens":1,"completion_tokens":1,"total_tokens":1000000003}""")]
    [InlineData("""{"completion_tokens":0,"total_tokens":1000000001}""")]
    [InlineData("""{"prompt_tokens":0,"total_tokens":1000000001}""")]
    [InlineData("""{"prompt_tokens":{},"completion_tokens":1}""")]
    [InlineData("""{"prompt_tokens":[1],"completion_tokens":true}""")]
    [InlineData("""{"prompt_tokens":1,"completion_tokens":1,"total_tokens":-2}""")]
    [InlineData("""{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":-1}}""")]
    [InlineData("""{"prompt_tokens":1,"completion_tokens":1,"completion_tokens_details":7}""")]
    [InlineData("""{"prompt_tokens":1}""")]
    [InlineData("""{"completion_tokens":1}""")]
    [InlineData("""{"total_tokens":1}""")]
    [InlineData("""{"prompt_tokens":10,"total_tokens":5}""")]
    [InlineData("""{"prompt_tokens":null,"completion_tokens":1}""")]
    [InlineData("7")]
    [InlineData("[]")]
    [InlineData("\"x\"")]
    public void Read_AWrongCount_RefusesTheWhole(string usage)
    {
        var reading = Read(usage);

        Assert.Null(reading.Usage);
        Assert.True(reading.Refused);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"prompt_tokens":null,"completion_tokens":null}""")]
    public void Read_NoUsage_IsAbsentAndNotRefused(string usage) => Assert.Equal(default, Read(usage));

    [Theory]
    [InlineData("""{"prompt_tokens":8,"total_tokens":8}""", 8)]
    [InlineData("""{"total_tokens":8}""", 8)]
    public void Read_Embeddings_HaveNoOutput(string usage, long input) =>
        Assert.Equal([input, null, null, null, null], Buckets(Read(usage, Endpoint.Embeddings).Usage!));

    [Fact]
    public void Read_AnyCounts_GiveBucketsThatAreNeverNegativeAndSumToTheWhole()
    {
        var count = Gen.Long[0, 1_000];
        Gen.Select(count, count, count, count, count, count.Nullable()).Sample((prompt, completion, cached, write, reasoning, total) =>
        {
            var usage = Read($$"""
                {"prompt_tokens":{{prompt}},"completion_tokens":{{completion}},"total_tokens":{{(total is null ? "null" : $"{total}")}},
                 "prompt_tokens_details":{"cached_tokens":{{cached}},"cache_write_tokens":{{write}}},"completion_tokens_details":{"reasoning_tokens":{{reasoning}} } }
                """).Usage!;
            var outside = total == prompt + completion + reasoning;
            return Buckets(usage).All(bucket => bucket is null or >= 0)
                && usage.InputTokens == prompt
                && usage.OutputTokens == (outside ? completion + reasoning : completion);
        });
    }

    private static UsageReading Read(string usage, Endpoint endpoint = Endpoint.ChatCompletions)
    {
        var json = new Utf8JsonReader(Encoding.UTF8.GetBytes(usage));
        json.Read();
        return OpenAiUsage.Read(ref json, endpoint);
    }

    private static long?[] Buckets(TokenUsage usage) => [usage.UncachedInput, usage.CacheRead, usage.CacheWrite, usage.Output, usage.Reasoning];
}

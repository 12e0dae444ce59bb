using System.Buffers;
using System.Text;
using CsCheck;
using Dvara.Domain;
using Dvara.Providers;
using Dvara.Providers.OpenAI;
using Xunit;

namespace Dvara.UnitTests.Providers;

public sealed class OpenAiWholeMeterTests
{
    // The same words at the wrong level, and marks inside strings: none of it is the answer's own usage.
    private static readonly Gen<string> Decoy = Gen.OneOf(
        """
        "choices" : [{"message":{"content":"\"usage\":{\"prompt_tokens\":1}, }]","usage":{"prompt_tokens":2}}}]
        """.Trim(),
        """
        "data":[{"embedding":[0.1,-2e-3,[]],"id":"no"},{"embedding":"AAAA/+=="}]
        """.Trim(),
        "\"a\":\"\\\\\"", "\"b\":\"\\\\\\\"}\"", "\"c\":{\"usage\":null,\"model\":\"no\"}", "\"d\":\"usage\"", "\"usages\":7", "\"\":\"\"", "\"e\": -1.5e+9",
        "\"object\":\"list\"", "\"f\\\"usage\":[]", "\"g\":\"😀, äöü\"");

    private static readonly Gen<string> Answer =
        from decoys in Decoy.Array[0, 8]
        from prompt in Gen.Int[0, 100]
        from told in Gen.OneOf(
            "\"usage\":null", "\"x\":0", "\"usage\":{}",
            "\"usage\" : {\"prompt_tokens\":P, \"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":0,\"x\":[{}]}}",
            "\"usage\":{\"prompt_tokens\":-P,\"completion_tokens\":3}", "\"x_groq\":{\"id\":\"r\",\"usage\":{\"prompt_tokens\":P,\"completion_tokens\":1}}")
        from name in Gen.OneOf("\"id\":\"answer-1\"", "\"id\" :\"\\u0061, }\"", "\"model\": \"m\"", "\"id\":7", "\"error\":{\"message\":\"x\"}", "\"error\":null")
        from order in Gen.Shuffle(Enumerable.Range(0, 10).ToArray())
        from space in Gen.OneOf("", " ", "\r\n\t")
        let members = decoys.Distinct().Append(told.Replace("P", $"{prompt}", StringComparison.Ordinal)).Append(name).ToArray()
        select $"{space}{{{space}{string.Join($"{space},{space}", order.Where(i => i < members.Length).Select(i => members[i]))}{space}}}{space}";

    [Fact]
    public void Feed_AnySplitOfAnyAnswer_GivesTheSameBytesAndWhatReadingItWholeGives() => Gen.Select(Answer, MeterRun.Cuts).Sample(
        (answer, cuts) =>
        {
            var bytes = Encoding.UTF8.GetBytes(answer);
            var run = MeterRun.Of(Meter(), bytes, cuts);
            var read = OpenAiAnswer.Read(bytes, Endpoint.ChatCompletions, "gpt-4o");

            Assert.Equal(answer, run.Client + run.Tail);
            Assert.Equal(1, run.Tail.Length);
            Assert.True(run.Terminated);
            Assert.Equal(read.HasError, run.Failed);
            Assert.Equal(
                read with { Malformed = false, EstimatedOutputTokens = read.Usage is null ? bytes.Length / 4 : 0 },
                run.Facts);
        },
        iter: 1000);

    [Fact]
    public void Feed_AnyTruncation_IsNotTerminatedAndPassesWhatCame() => Gen.Select(Answer, Gen.Int[0, 1000], MeterRun.Cuts).Sample((answer, length, cuts) =>
    {
        var whole = Encoding.UTF8.GetBytes(answer.Trim());
        var cut = whole.AsSpan(0, Math.Min(length, whole.Length - 1));
        var client = new ArrayBufferWriter<byte>();
        using var meter = Meter();
        for (var rest = cut; !rest.IsEmpty;)
        {
            var chunk = rest[..Math.Min(cuts[0], rest.Length)];
            meter.Feed(chunk, client);
            rest = rest[chunk.Length..];
        }

        meter.Complete();
        Assert.False(meter.Terminated);
        Assert.True(cut.SequenceEqual((byte[])[.. client.WrittenSpan, .. meter.Tail.Span]));
    });

    [Theory]
    [InlineData("<html>a, b \"c\" {d} [e</html>")]
    [InlineData("hello, world")]
    [InlineData("\"text\"")]
    [InlineData("]]][[[")]
    [InlineData("")]
    public void Feed_WhatIsNoJsonObject_HasNoUsageAndNeverThrows(string answer)
    {
        var run = MeterRun.Of(Meter(), Encoding.UTF8.GetBytes(answer), 1);

        Assert.Null(run.Facts.Usage);
        Assert.Equal(answer, run.Client + run.Tail);
    }

    [Theory]
    [InlineData("hello, world")]
    [InlineData("\"text\"")]
    [InlineData("502, <b>")]
    [InlineData("]")]
    public void Terminated_WhatNeverOpened_IsNotClosed(string answer) => Assert.False(MeterRun.Of(Meter(), Encoding.UTF8.GetBytes(answer), 3).Terminated);

    [Fact]
    public void Complete_WhatFollowsTheAnswer_ChangesNothing()
    {
        var run = MeterRun.Of(Meter(), """{"usage":{"prompt_tokens":1,"completion_tokens":2}} {"usage":{"prompt_tokens":9,"completion_tokens":9}}"""u8, 5);

        Assert.Equal(new TokenUsage { UncachedInput = 1, Output = 2 }, run.Facts.Usage);
    }

    [Fact]
    public void Complete_AMemberTooLargeToKeep_IsPassedOver()
    {
        var answer = $"{{\"id\":\"{new string('i', 70_000)}\",\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":2}}}}";

        var run = MeterRun.Of(Meter(), Encoding.UTF8.GetBytes(answer), 1000);

        Assert.Null(run.Facts.Id);
        Assert.Equal(new TokenUsage { UncachedInput = 1, Output = 2 }, run.Facts.Usage);
    }

    [Fact]
    public void Feed_AnAnswerOfAnySize_UsesBoundedMemory()
    {
        var vectors = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("{\"embedding\":[0.12,-0.34],\"usage\":\"no\"},", 2000)));
        var client = new ArrayBufferWriter<byte>(256 * 1024);
        using var meter = new OpenAiWholeMeter(Endpoint.Embeddings, "text-embedding-3-small");
        meter.Feed("{\"data\":["u8, client);
        var before = GC.GetAllocatedBytesForCurrentThread();

        for (var i = 0; i < 1000; i++)
        {
            client.ResetWrittenCount();
            meter.Feed(vectors, client);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1024 * 1024);
        meter.Feed("{}],\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}"u8, client);
        meter.Complete();
        Assert.True(meter.Terminated);
        Assert.Equal(new AnswerFacts { Usage = new TokenUsage { UncachedInput = 8 } }, meter.Facts(estimate: true));
    }

    private static OpenAiWholeMeter Meter() => new(Endpoint.ChatCompletions, "gpt-4o");
}

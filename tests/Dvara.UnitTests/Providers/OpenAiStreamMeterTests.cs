using System.Text;
using CsCheck;
using Dvara.Domain;
using Dvara.Providers;
using Dvara.Providers.OpenAI;
using Xunit;

namespace Dvara.UnitTests.Providers;

public sealed class OpenAiStreamMeterTests
{
    private const string Done = "data: [DONE]\n\n";

    // As the API sends them when usage was asked for.
    private const string Role = """
        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"ab"}


        """;

    private const string Hello = """
        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{"content":"Grüße 😀"},"logprobs":null,"finish_reason":null}],"usage":null}


        """;

    private const string Stop = """
        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}


        """;

    private const string Usage = """
        data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o-2024-08-06","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}


        """;

    private const string Stream = Role + Hello + Stop + Usage + Done;

    private static readonly TokenUsage Used = new() { UncachedInput = 5, CacheRead = 4, Output = 10, Reasoning = 2 };

    [Fact]
    public void Feed_WhenUsageIsHidden_TheClientSeesTheStreamAsIfItHadNotBeenAskedFor()
    {
        var run = Run(Stream, hideUsage: true);

        Assert.Equal((Role + Hello + Stop).Replace(",\"usage\":null", "", StringComparison.Ordinal), run.Client);
        Assert.Equal(Done, run.Tail);
        Assert.True(run.Terminated);
        Assert.False(run.Failed);
        Assert.Equal(
            new AnswerFacts { Usage = Used, Id = "chatcmpl-1", Model = "gpt-4o-2024-08-06" },
            run.Facts);
    }

    [Fact]
    public void Feed_WhenTheClientAskedForUsage_NothingIsTouched()
    {
        var run = Run(Stream, hideUsage: false);

        Assert.Equal(Role + Hello + Stop + Usage, run.Client);
        Assert.Equal(Done, run.Tail);
        Assert.Equal(Used, run.Facts.Usage);
    }

    [Fact]
    public void Feed_AWholeEvent_IsPassedAtOnceAndTheTerminatingOneIsNot()
    {
        using var meter = new OpenAiStreamMeter(Endpoint.ChatCompletions, "gpt-4o", hideUsage: true);
        var client = new System.Buffers.ArrayBufferWriter<byte>();

        meter.Feed("data: {\"choices\":[]}\n"u8, client);
        Assert.Equal(0, client.WrittenCount);
        meter.Feed("\n"u8, client);
        Assert.Equal("data: {\"choices\":[]}\n\n", Encoding.UTF8.GetString(client.WrittenSpan));
        meter.Feed(Encoding.UTF8.GetBytes(Done), client);

        Assert.Equal("data: {\"choices\":[]}\n\n", Encoding.UTF8.GetString(client.WrittenSpan));
        Assert.True(meter.Terminated);
        Assert.Equal(Done, Encoding.UTF8.GetString(meter.Tail.Span));
    }

    [Theory]
    [InlineData("""{"usage":null,"choices":[{}]}""", """{"choices":[{}]}""")]
    [InlineData("""{ "usage" : null , "choices":[{}]}""", """{ "choices":[{}]}""")]
    [InlineData("""{"id":"a" , "usage" : null,"choices":[{}]}""", """{"id":"a","choices":[{}]}""")]
    [InlineData("""{"choices":[{}],"\u0075sage":null}""", """{"choices":[{}]}""")]
    [InlineData("""{"usage":null}""", """{"usage":null}""")]
    [InlineData("""{"choices":[{"usage":null}],"x":{"usage":null}}""", """{"choices":[{"usage":null}],"x":{"usage":null}}""")]
    [InlineData("""{"choices":[{}],"a":"\"usage\":null"}""", """{"choices":[{}],"a":"\"usage\":null"}""")]
    public void Feed_NullUsage_IsCutWithItsComma(string sent, string seen)
    {
        Assert.Equal($"data: {seen}\n\n", Run($"data: {sent}\n\n", hideUsage: true).Client);
        Assert.Equal($"data: {sent}\n\n", Run($"data: {sent}\n\n", hideUsage: false).Client);
    }

    [Fact]
    public void Feed_UsageOnTheLastContentChunk_IsReadAndThatChunkIsLeftAlone()
    {
        const string Last = """
            data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}


            """;

        var run = Run(Last + Done, hideUsage: true);

        Assert.Equal(Last, run.Client);
        Assert.Equal(new TokenUsage { UncachedInput = 3, Output = 1 }, run.Facts.Usage);
    }

    [Fact]
    public void Feed_SeveralUsageObjects_TheLastCountsAndNoneIsAdded()
    {
        var run = Run(UsageOf(3, 1) + UsageOf(3, 7) + UsageOf(4, 9) + Done, hideUsage: true);

        Assert.Equal("", run.Client);
        Assert.Equal(new TokenUsage { UncachedInput = 4, Output = 9 }, run.Facts.Usage);
    }

    [Fact]
    public void Feed_AnEmptyUsageObject_TakesNothingBack() =>
        Assert.Equal(new TokenUsage { UncachedInput = 3, Output = 1 }, Run(UsageOf(3, 1) + "data: {\"choices\":[],\"usage\":{}}\n\n", true).Facts.Usage);

    [Fact]
    public void Feed_UsageBehindTheTerminatingEvent_IsReadAndHidden()
    {
        var run = Run(Hello + Done + UsageOf(3, 1) + ": bye\n\n", hideUsage: true);

        Assert.Equal(Done + ": bye\n\n", run.Tail);
        Assert.Equal(new TokenUsage { UncachedInput = 3, Output = 1 }, run.Facts.Usage);
    }

    [Fact]
    public void Feed_GroqsUsage_IsFoundWhereItIs()
    {
        const string Last = """
            data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"x_groq":{"id":"req","usage":{"queue_time":0.1,"prompt_tokens":5,"completion_tokens":6,"total_tokens":11}}}


            """;

        var run = Run(Last + Done, hideUsage: true);

        Assert.Equal(Last, run.Client);
        Assert.Equal(new TokenUsage { UncachedInput = 5, Output = 6 }, run.Facts.Usage);
    }

    [Fact]
    public void Feed_AzuresFirstChunk_HasNoChoicesAndIsPassed()
    {
        const string First = "data: {\"choices\":[],\"model\":\"\",\"prompt_filter_results\":[{}]}\n\n";

        Assert.Equal(First, Run(First + Done, hideUsage: true).Client);
    }

    [Theory]
    [InlineData("""{"choices":[],"usage":{"prompt_tokens":-3,"completion_tokens":1}}""")]
    [InlineData("""{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1.5}}""")]
    [InlineData("""{"choices":[],"usage":"3"}""")]
    public void Feed_UsageThatCannotBeBelieved_IsRefusedAndCountedInstead(string usage)
    {
        var run = Run($"data: {{\"choices\":[{{\"delta\":{{\"content\":\"hello world\"}}}}]}}\n\ndata: {usage}\n\n{Done}", hideUsage: true);

        Assert.Null(run.Facts.Usage);
        Assert.True(run.Facts.UsageRefused);
        Assert.Equal(2, run.Facts.EstimatedOutputTokens);
    }

    [Fact]
    public void Feed_DataOfSeveralLines_IsJoinedByALineFeed()
    {
        var run = Run("data: [DO\ndata: NE]\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1\ndata: 2,\"completion_tokens\":3}}\n\n", hideUsage: true);

        Assert.False(run.Terminated);
        Assert.Null(run.Facts.Usage);
    }

    [Fact]
    public void Feed_NullUsageInDataOfSeveralLines_IsLeftAlone()
    {
        const string Chunk = "data: {\"choices\":[{}],\ndata: \"usage\":null}\n\n";

        Assert.Equal(Chunk, Run(Chunk, hideUsage: true).Client);
    }

    [Fact]
    public void Facts_Names_AreThoseOfTheFirstChunkThatHasThem()
    {
        var run = Run(
            "data: {\"id\":\"\",\"model\":\"\",\"choices\":[]}\n\ndata: {\"id\":\"a\",\"model\":\"m\"}\n\ndata: {\"id\":\"b\",\"model\":\"n\"}\n\n", true);

        Assert.Equal(("a", "m"), (run.Facts.Id, run.Facts.Model));
    }

    [Fact]
    public void Feed_AnErrorInTheStream_IsPassedAndSaid()
    {
        const string Error = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\"}}\n\n";

        var run = Run(Hello + Error, hideUsage: false);

        Assert.Equal(Hello + Error, run.Client);
        Assert.True(run.Failed);
        Assert.True(run.Facts.HasError);
        Assert.False(run.Terminated);
        Assert.True(Run("event: error\ndata: overloaded\n\n", hideUsage: true).Failed);
        Assert.False(Run("data: {\"choices\":[],\"error\":null}\n\nevent: errors\ndata: x\n\n", hideUsage: true).Failed);
    }

    [Theory]
    [InlineData(Role + Hello, false)]
    [InlineData(Role + Hello + Stop, true)]
    [InlineData(Role + Hello + Stop + Usage, true)]
    [InlineData(Stop + "data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n", true)]
    [InlineData("data: {\"choices\":[{\"text\":\"x\",\"finish_reason\":\"length\"}]}\n\n", true)]
    [InlineData("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"st", false)]
    [InlineData("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"\"}]}\n\n", false)]
    [InlineData("data: {\"choices\":[{\"delta\":{\"parsed\":{\"finish_reason\":\"stop\"}}}]}\n\n", false)]
    [InlineData("data: {\"finish_reason\":\"stop\",\"choices\":[{}]}\n\n", false)]
    public void Finished_IsWhatTheModelSaysOfAChoice(string stream, bool finished)
    {
        var run = Run(stream, hideUsage: true);

        Assert.Equal((finished, false), (run.Finished, run.Terminated));
    }

    [Fact]
    public void Facts_WithoutUsage_CountWhatWasDelivered()
    {
        // Every text that is billed as output, whatever the host calls it; what says the same again is not counted twice.
        const string Chunks = """
            data: {"choices":[{"delta":{"content":"one"}},{"index":1,"delta":{"reasoning_content":" two"},"logprobs":{"content":[{"token":"no"}]}}]}

            data: {"choices":[{"delta":{"reasoning":" three","reasoning_details":[{"text":"no"}],"refusal":" four"}}]}

            data: {"choices":[{"delta":{"tool_calls":[{"id":"no","type":"no","function":{"name":" five","arguments":" s\u0069x"}}]}}]}


            """;

        var run = Run(Chunks, hideUsage: true);

        Assert.Null(run.Facts.Usage);
        Assert.Equal(TokenCounter.CountText("gpt-4o", "one two three four five six"u8), run.Facts.EstimatedOutputTokens);
        Assert.Equal(6, run.Facts.EstimatedOutputTokens);
    }

    [Fact]
    public void Facts_AnEscapeCutInTwoByTheHost_IsStillCounted()
    {
        var run = Run("data: {\"choices\":[{\"delta\":{\"content\":\"\\ud83d\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"\\ude00\"}}]}\n\n", true);

        Assert.InRange(run.Facts.EstimatedOutputTokens, 1, 12);
        Assert.EndsWith("\\ude00\"}}]}\n\n", run.Client, StringComparison.Ordinal);
    }

    [Fact]
    public void Facts_EstimateNotAskedFor_IsNotMade()
    {
        using var meter = new OpenAiStreamMeter(Endpoint.ChatCompletions, "gpt-4o", hideUsage: true);
        meter.Feed(Encoding.UTF8.GetBytes(Hello), new System.Buffers.ArrayBufferWriter<byte>());

        Assert.Equal(0, meter.Facts(estimate: false).EstimatedOutputTokens);
        Assert.NotEqual(0, meter.Facts(estimate: true).EstimatedOutputTokens);
    }

    [Theory]
    [InlineData("data: {\"choices\":[{\"del", "")]
    [InlineData("data: [DON", "")]
    [InlineData(": keep", "")]
    [InlineData("event: x\n", "")]
    [InlineData("data: {\"choices\":[]}", "data: {\"choices\":[]}\n\n")]
    [InlineData("data: {\"choices\":[]}\r\n", "data: {\"choices\":[]}\r\n\n\n")]
    [InlineData("data: {\"choices\":[]} x", "")]
    [InlineData("data: {\"choices\":[]}\r\n\r", "data: {\"choices\":[]}\r\n\r")]
    public void Complete_ABrokenLastEvent_IsDroppedUnlessItsDataIsWhole(string rest, string owed)
    {
        var run = Run(Stop + rest, hideUsage: false);

        Assert.Equal(Stop, run.Client);
        Assert.Equal(owed, run.Tail);
        Assert.False(run.Terminated);
    }

    [Theory]
    [InlineData("data: [DONE]")]
    [InlineData("data:[DONE]\n")]
    [InlineData("data: [DONE] \r\n")]
    public void Complete_ATerminatingEventWithoutItsBlankLine_IsGivenOne(string done)
    {
        var run = Run(Hello + done, hideUsage: false);

        Assert.True(run.Terminated);
        Assert.Equal(done + "\n\n", run.Tail);
    }

    [Fact]
    public void Complete_TheLastUsageWithoutItsBlankLine_IsReadAndHidden()
    {
        var run = Run(Stop + Usage.TrimEnd(), hideUsage: true);

        Assert.Equal(Used, run.Facts.Usage);
        Assert.Equal("", run.Tail);
    }

    [Fact]
    public void Complete_ABrokenStream_LeavesRoomForOneMoreEvent() => Gen.Select(Gen.Int[0, Stream.Length], Gen.Bool, MeterRun.Cuts).Sample((length, hide, cuts) =>
    {
        var sent = Encoding.UTF8.GetBytes(Stream.ReplaceLineEndings("\r\n"));
        var run = MeterRun.Of(Meter(hide), sent.AsSpan(0, Math.Min(length, sent.Length)), cuts);

        var seen = ServerSentEvents.Data(run.Client + run.Tail + "data: broken\n\n");
        var whole = ServerSentEvents.Data(Run(Stream, hide) is var all ? all.Client + all.Tail : "");
        return seen[^1] == "broken" && seen[..^1].SequenceEqual(whole.Take(seen.Count - 1));
    });

    [Fact]
    public void Feed_AnySplitOfAnyStream_GivesTheSameBytesAndTheSameUsage() => Gen.Select(
        StreamPiece.Any.Array[0, 12], StreamPiece.Any.Array[0, 3], Gen.Bool, Gen.Bool, MeterRun.Cuts).Sample((before, after, hasBom, hide, cuts) =>
    {
        var bom = hasBom ? "\uFEFF" : "";
        var pieces = before.Append(StreamPiece.Done).Concat(after).ToArray();
        var sent = bom + string.Concat(pieces.Select(p => p.Sent));

        var run = MeterRun.Of(Meter(hide), Encoding.UTF8.GetBytes(sent), cuts);

        var seenBefore = string.Concat(before.Select(p => hide ? p.Seen : p.Sent));
        var seenAfter = string.Concat(after.Select(p => hide ? p.Seen : p.Sent));
        var bomIsHidden = hide && pieces[0].Seen.Length == 0;
        Assert.Equal((bomIsHidden ? "" : bom) + seenBefore + StreamPiece.Done.Sent + seenAfter, run.Client + run.Tail);
        Assert.StartsWith(before.Length == 0 ? bom + StreamPiece.Done.Sent : StreamPiece.Done.Sent, run.Tail, StringComparison.Ordinal);
        Assert.Equal(pieces.LastOrDefault(p => p.Prompt is not null)?.Prompt, run.Facts.Usage?.InputTokens);
        Assert.Equal(Run(sent, hide).Facts, run.Facts);
        Assert.True(run.Terminated);
    });

    [Fact]
    public void Feed_AnyBytes_PassThroughWhole() => Gen.Select(
        Gen.OneOf("data", ":", ": ", "\n", "\r", "\r\n", "{", "}", "\"usage\"", "null", "[DON", "😀", "\uFEFF", "x", "event: error").Array[0, 40],
        MeterRun.Cuts).Sample((text, cuts) =>
    {
        // None of these is a usage chunk or a terminating event, so all that may be lost is an unfinished last event.
        var sent = string.Concat(text) + "\n\n";

        return MeterRun.Of(Meter(hide: false), Encoding.UTF8.GetBytes(sent), cuts).Client == sent;
    });

    [Theory]
    [InlineData(1)]
    [InlineData(7_777)]
    [InlineData(65_536)]
    [InlineData(100_000_000)]
    public void Feed_AnEventBeyondTheBound_PassesUnreadAndTheNextIsRead(int chunk)
    {
        var huge = $"data: {{\"x\":\"{new string('x', 2_200_000)}\"}}\n\n";

        var run = MeterRun.Of(Meter(hide: true), Encoding.UTF8.GetBytes(huge + Usage + Done), chunk);

        Assert.True(huge == run.Client, $"{run.Client.Length} characters instead of {huge.Length}");
        Assert.Equal(Used, run.Facts.Usage);
        Assert.Equal(Done, run.Tail);
    }

    [Theory]
    [InlineData(50_000)]
    [InlineData(3_000_000)]
    public void Feed_AnEventBeyondTheBoundBehindTheTerminatingOne_IsDropped(int chunk)
    {
        var run = MeterRun.Of(Meter(hide: true), Encoding.UTF8.GetBytes($"{Done}data: {new string('x', 2_200_000)}\n\n{Usage}: bye\n\n"), chunk);

        Assert.Equal(Done + ": bye\n\n", run.Tail);
        Assert.Equal(Used, run.Facts.Usage);
    }

    [Fact]
    public void Complete_InTheMiddleOfAnEventBeyondTheBound_EndsIt()
    {
        var run = Run("data: " + new string('x', 2_200_000), hideUsage: true);

        Assert.Equal("\n\n", run.Tail);
        // Of what could not be read a token is taken to have four bytes.
        Assert.Equal(2_200_006 / 4, run.Facts.EstimatedOutputTokens);
    }

    [Fact]
    public void Feed_AnEndlessLine_UsesBoundedMemory()
    {
        var chunk = new byte[64 * 1024];
        chunk.AsSpan().Fill((byte)'x');
        var client = new System.Buffers.ArrayBufferWriter<byte>(8 * 1024 * 1024);
        using var meter = Meter(hide: true);
        var before = GC.GetAllocatedBytesForCurrentThread();

        var passed = 0L;
        for (var i = 0; i < 2048; i++)
        {
            client.ResetWrittenCount();
            meter.Feed(chunk, client);
            passed += client.WrittenCount;
        }

        Assert.Equal(2048L * chunk.Length, passed);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 16 * 1024 * 1024);
    }

    [Fact]
    public void Feed_AStreamOfSmallEvents_AllocatesNothingForEach()
    {
        var chunk = Encoding.UTF8.GetBytes("data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"content\":\" word\"}}],\"usage\":null}\n\n");
        var client = new System.Buffers.ArrayBufferWriter<byte>(4096);
        using var meter = Meter(hide: true);
        Feed(100);
        var before = GC.GetAllocatedBytesForCurrentThread();

        Feed(1000);

        // Doubling the buffer of delivered text is all there is.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 64 * 1024);

        void Feed(int times)
        {
            for (var i = 0; i < times; i++)
            {
                client.ResetWrittenCount();
                meter.Feed(chunk, client);
            }
        }
    }

    private static string UsageOf(int prompt, int completion) =>
        $"data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":{prompt},\"completion_tokens\":{completion}}}}}\n\n";

    private static OpenAiStreamMeter Meter(bool hide) => new(Endpoint.ChatCompletions, "gpt-4o", hide);

    private static MeterRun Run(string stream, bool hideUsage) => MeterRun.Of(Meter(hideUsage), Encoding.UTF8.GetBytes(stream));
}

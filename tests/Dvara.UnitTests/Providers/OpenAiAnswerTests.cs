using System.Text;
using CsCheck;
using Dvara.Domain;
using Dvara.Providers;
using Dvara.Providers.OpenAI;
using Xunit;

namespace Dvara.UnitTests.Providers;

public sealed class OpenAiAnswerTests
{
    private const string Chat = """
        {
          "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-2024-08-06",
          "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello world", "refusal": null, "annotations": []}, "logprobs": null, "finish_reason": "stop"}],
          "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29, "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}},
          "service_tier": "default", "system_fingerprint": "fp_1"
        }

        """;

    [Fact]
    public void Read_AChatCompletion_GivesItsFacts() => Assert.Equal(
        new AnswerFacts
        {
            Id = "chatcmpl-1",
            Model = "gpt-4o-2024-08-06",
            Usage = new TokenUsage { UncachedInput = 19, CacheRead = 0, Output = 10, Reasoning = 0 },
        },
        Read(Chat));

    [Fact]
    public void Read_ACompletion_GivesItsFacts()
    {
        var facts = Read(
            """{"id":"cmpl-1","model":"m","choices":[{"text":"x"}],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}""", Endpoint.Completions);

        Assert.Equal(new AnswerFacts { Id = "cmpl-1", Model = "m", Usage = new TokenUsage { UncachedInput = 5, Output = 7 } }, facts);
    }

    [Fact]
    public void Read_Embeddings_GiveTheirFacts()
    {
        const string Answer = """{"object":"list","data":[{"object":"embedding","embedding":[0.1,-2e-3]}],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}""";

        Assert.Equal(new AnswerFacts { Model = "e", Usage = new TokenUsage { UncachedInput = 8 } }, Read(Answer, Endpoint.Embeddings));
        Assert.True(Read(Answer).Malformed);
        Assert.True(Read(Chat, Endpoint.Embeddings).Malformed);
    }

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("7")]
    [InlineData("{}")]
    [InlineData("<html>502, \"usage\"</html>")]
    [InlineData("""{"choices":[]""")]
    [InlineData("""{"choices":[]} x""")]
    [InlineData("""{"choices":[]}{"choices":[]}""")]
    [InlineData("""{"choices":null}""")]
    [InlineData("""{"choices":{}}""")]
    [InlineData("""{"data":[]}""")]
    [InlineData("""{"error":null}""")]
    [InlineData("""{"id":"x","usage":{"prompt_tokens":1,"completion_tokens":1}}""")]
    [InlineData("""{"choices":[,]}""")]
    public void Read_WhatIsNoAnswer_IsMalformed(string answer) => Assert.True(Read(answer).Malformed);

    [Fact]
    public void Read_AnyTruncation_IsMalformed() =>
        Gen.Int[0, Chat.TrimEnd().Length - 1].Sample(length => Read(Chat[..length]).Malformed);

    [Theory]
    [InlineData(256, false)]
    [InlineData(257, true)]
    [InlineData(100_000, true)]
    public void Read_NestingBeyondReason_IsMalformedAndNoCrash(int depth, bool malformed) =>
        Assert.Equal(malformed, Read($"{{\"choices\":[],\"x\":{new string('[', depth - 1)}{new string(']', depth - 1)}}}").Malformed);

    [Fact]
    public void Read_AnError_IsNoMalformedAnswer()
    {
        var facts = Read("""{"error":{"message":"x"}}""");

        Assert.True(facts.HasError);
        Assert.False(facts.Malformed);
    }

    [Fact]
    public void Read_AByteOrderMark_IsPassedOver() => Assert.Equal(Read(Chat), Read("\uFEFF" + Chat));

    [Theory]
    [InlineData("""{"choices":[{"message":{"content":"hello world"}}]}""", false)]
    [InlineData("""{"choices":[{"message":{"content":"hello world"}}],"usage":null}""", false)]
    [InlineData("""{"choices":[{"message":{"content":"hello world"}}],"usage":{"prompt_tokens":-1,"completion_tokens":5}}""", true)]
    [InlineData("""{"choices":[{"text":"hello world","logprobs":{"tokens":["hello"],"text":"no"}}],"usage":{"prompt_tokens":18446744073709551616}}""", true)]
    [InlineData("""{"choices":[{"message":{"content":[{"type":"text","text":"hello"}]}},{"message":{"content":" world"}}]}""", false)]
    [InlineData("""{"choices":[{"message":{"content":null,"audio":{"data":"AAAAAAAAAAAAAAAAAAAAAAAA","transcript":"hello world"}}}]}""", false)]
    public void Read_WithoutUsageToBelieve_CountsTheText(string answer, bool refused)
    {
        var facts = Read(answer);

        Assert.Null(facts.Usage);
        Assert.Equal(refused, facts.UsageRefused);
        Assert.Equal(2, facts.EstimatedOutputTokens);
        Assert.False(facts.Malformed);
    }

    [Theory]
    [InlineData("7")]
    [InlineData("{}")]
    [InlineData("\"\"")]
    [InlineData("\"\\ud800\"")]
    public void Read_ANameThatIsNone_IsAbsent(string name)
    {
        var facts = Read($"{{\"id\":{name},\"model\":{name},\"choices\":[]}}");

        Assert.Equal(new AnswerFacts(), facts);
        Assert.Null(Read($"{{\"choices\":[],\"id\":\"{new string('i', 257)}\"}}").Id);
    }

    [Fact]
    public void Read_ASequenceOfAnyPieces_IsReadAsOne() => MeterRun.Cuts.Sample(cuts =>
        OpenAiAnswer.Read(Sequences.Of(Encoding.UTF8.GetBytes(Chat), cuts), Endpoint.ChatCompletions, "gpt-4o") == Read(Chat));

    [Fact]
    public void Read_AnyDamage_IsReadOrMalformedAndNeverThrows() => Gen.Select(Gen.Int[0, Chat.Length - 1], Gen.Byte, Gen.Byte).Sample((at, one, other) =>
    {
        var bytes = Encoding.UTF8.GetBytes(Chat);
        bytes[at] = one;
        bytes[(at + other) % bytes.Length] = other;

        var facts = OpenAiAnswer.Read(bytes, Endpoint.ChatCompletions, "gpt-4o");

        return facts.Usage is null || (facts.Usage.InputTokens >= 0 && facts.Usage.OutputTokens >= 0);
    });

    private static AnswerFacts Read(string answer, Endpoint endpoint = Endpoint.ChatCompletions) =>
        OpenAiAnswer.Read(Encoding.UTF8.GetBytes(answer), endpoint, "gpt-4o");
}

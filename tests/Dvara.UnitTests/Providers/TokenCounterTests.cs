using System.Buffers;
using System.Diagnostics;
using System.Text;
using CsCheck;
using Dvara.Providers;
using Xunit;

namespace Dvara.UnitTests.Providers;

public sealed class TokenCounterTests
{
    [Theory]
    [InlineData("gpt-4o", "", 0)]
    [InlineData("gpt-4o", "hello world", 2)]
    [InlineData("gpt-4o", "tiktoken is great!", 6)]
    [InlineData("gpt-4", "tiktoken is great!", 6)]
    [InlineData("gpt-4", "antidisestablishmentarianism", 6)]
    [InlineData("gpt-4o", "antidisestablishmentarianism", 6)]
    [InlineData("gpt-4", "お誕生日おめでとう", 9)]
    [InlineData("gpt-4o", "お誕生日おめでとう", 8)]
    [InlineData("text-embedding-3-small", "お誕生日おめでとう", 9)]
    [InlineData("openai/gpt-4-turbo-2024-04-09", "お誕生日おめでとう", 9)]
    [InlineData("gpt-4.1", "お誕生日おめでとう", 8)]
    [InlineData("claude-sonnet", "お誕生日おめでとう", 8)]
    [InlineData("", "お誕生日おめでとう", 8)]
    public void CountText_KnownTexts_HaveTheirPublishedCounts(string model, string text, long tokens) =>
        Assert.Equal(tokens, TokenCounter.CountText(model, Encoding.UTF8.GetBytes(text)));

    // What the API reports for these, the frames of messages and of the reply included.
    [Theory]
    [InlineData("""[{"role":"user","content":"hi"}]""", 8)]
    [InlineData("""[{"role":"user","content":"Hello!"}]""", 9)]
    [InlineData("""[{"role":"developer","content":"You are a helpful assistant."},{"role":"user","content":"Hello!"}]""", 19)]
    [InlineData("""[{"role":"user","content":"\u0048ello!"}]""", 9)]
    [InlineData("""[{"role":"user","content":[{"type":"text","text":"Hello!"}]}]""", 9)]
    public void CountInput_KnownChats_HaveTheCountsOfTheApi(string messages, long tokens) =>
        Assert.Equal(tokens, Count($"{{\"model\":\"gpt-4o\",\"messages\":{messages}}}"));

    [Theory]
    [InlineData("\"hello world\"", 2)]
    [InlineData("[\"hello world\",\"hello\"]", 3)]
    [InlineData("[1,2,3]", 3)]
    [InlineData("[[1,2],[3]]", 3)]
    public void CountInput_Embeddings_HaveNoFrame(string input, long tokens) =>
        Assert.Equal(tokens, Count($"{{\"model\":\"e\",\"input\":{input},\"user\":\"not input\"}}", Endpoint.Embeddings));

    [Fact]
    public void CountInput_WhatIsNoInput_IsNotCounted() => Assert.Equal(
        8, Count("""{"x":"not this","model":"gpt-4o","metadata":{"a":"nor this"},"messages":[{"role":"user","content":"hi"}],"stop":["nor this"]}"""));

    [Fact]
    public void CountInput_ToolsAndPictures_Cost()
    {
        var plain = Count("""{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}""");

        Assert.True(Count("""{"model":"gpt-4o","tools":[{"type":"function","function":{"name":"f"}}],"messages":[{"role":"user","content":"hi"}]}""") > plain + 5);
        Assert.True(Count("""
            {"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"data:,"}}]}]}
            """) > plain + 500);
    }

    [Fact]
    public void CountInput_NeverExceedsTheBoundThatIsHeld() => Gen.Select(Gen.String, Gen.String, Gen.OneOf("gpt-4o", "gpt-4")).Sample((one, other, model) =>
    {
        var body = System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(new
        {
            model,
            messages = new[] { new { role = "system", content = one, name = other }, new { role = "user", content = other, name = "n" } },
            tools = new[] { new { type = "function", name = one } },
        });

        // Half surrogates and U+0000 are refused, and then nothing is held.
        return !RequestReader.Read(body, Endpoint.ChatCompletions, out var facts, out _)
            || TokenCounter.CountInput(model, Endpoint.ChatCompletions, body) is var count && count <= facts.InputTextBytes && count > 0;
    });

    [Fact]
    public void CountInput_OfTheRewrittenBody_IsThatOfTheClients()
    {
        var body = Encoding.UTF8.GetBytes(
            """{"model":"mock/gpt-4o","metadata":{"tags":{"a":"b"}},"messages":[{"role":"user","content":"hi"}],"stream":true}""");
        Assert.True(RequestReader.Read(body, Endpoint.ChatCompletions, out var facts, out _));

        var sent = BodyRewriter.Rewrite(body, facts.Plan, new BodyChanges { Model = "gpt-4o", AskUsage = true, OutputLimit = 9 }).ToArray();

        Assert.NotEqual(body.Length, sent.Length);
        Assert.Equal(
            TokenCounter.CountInput("gpt-4o", Endpoint.ChatCompletions, body), TokenCounter.CountInput("gpt-4o", Endpoint.ChatCompletions, sent));
    }

    [Fact]
    public void CountText_AnyBytes_HaveATokenForEachAtMost() =>
        Gen.Byte.Array[0, 600].Sample(bytes => TokenCounter.CountText("gpt-4o", bytes) <= 3 * bytes.Length);

    [Theory]
    [InlineData("a")]
    [InlineData(" ")]
    [InlineData("\u0301")]
    [InlineData("日")]
    [InlineData("!\"")]
    public void CountText_AMegabyteWithoutWords_IsNotQuadratic(string unit)
    {
        var text = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(unit, 1_000_000 / unit.Length)));
        var started = Stopwatch.GetTimestamp();

        var tokens = TokenCounter.CountText("gpt-4o", text);

        Assert.InRange(tokens, 1, text.Length);
        // Minutes, where a tokenizer meets such a run whole.
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(20));
    }

    [Fact]
    public void CountText_BeyondTheBound_GrowsInProportion()
    {
        var megabyte = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("hello world ", 100_000)));

        var whole = TokenCounter.CountText("gpt-4o", megabyte);
        var tenth = TokenCounter.CountText("gpt-4o", megabyte.AsSpan(0, megabyte.Length / 10));

        Assert.InRange(whole, tenth * 99 / 10, tenth * 101 / 10);
    }

    private static long Count(string body, Endpoint endpoint = Endpoint.ChatCompletions) =>
        TokenCounter.CountInput("gpt-4o", endpoint, Encoding.UTF8.GetBytes(body));
}

using System.Globalization;
using System.Text;
using System.Text.Json;
using CsCheck;
using Dvara.Providers;
using Xunit;

namespace Dvara.UnitTests.Providers;

public sealed class RequestReaderTests
{
    private const string Hello = """[{"role":"user","content":"hi"}]""";

    public static TheoryData<string> NotJson => new(
        "", "null", "[]", "\"x\"", "true", "7", "{", "{}{}", """{"model":"m"} x""", "{'model':'m'}", """{"model":"m",}""", """{"model":NaN}""",
        "// c\n{}", """{"model":"m" /* c */}""", "\uFEFF{}", """{"a":"\ud800"}""", """{"a":"\udc00\ud800"}""", """{"a":"\ud800x"}""", """{"a":"\udc00\udc00"}""",
        """{"\ud800":1}""", """{"a":"\u0000"}""", """{"a":["x\u0000"]}""", """{"a":1,"a":2}""", """{"a":{"b":1,"c":[],"b":2}}""",
        """{"model":"m","\u006dodel":"n"}""", """{"a":[{"b":{"c":0,"c":0}}]}""", "{\"a\":\"\u0001\"}", """{"a":01}""", """{"a":+1}""");

    public static TheoryData<string, string> Refused => new()
    {
        { Chat(model: null), "model" },
        { Chat(model: "null"), "model" },
        { Chat(model: "7"), "model" },
        { Chat(model: "\"\""), "model" },
        { Chat(model: "\" gpt\""), "model" },
        { Chat(model: "\"gpt \""), "model" },
        { Chat(model: "\"g\\npt\""), "model" },
        { Chat(model: $"\"{new string('m', 257)}\""), "model" },
        { Chat(model: "\"gpt\\u202e4\""), "model" },
        { Chat(model: "\"gpt\\u200b4\""), "model" },
        { Chat(model: "\"mock/gpt-4\\u043e\""), "model" },
        { Chat(model: "\"gpt-4ö\""), "model" },
        { Chat(model: "\"gpt\\u007f\""), "model" },
        { Chat(model: "\"gpt\\udb40\\udc41\""), "model" },
        { Chat(model: "\"mock/../x\""), "model" },
        { Chat(model: "\"../x\""), "model" },
        { Chat(model: "\"mock/.\""), "model" },
        { """{"Model":"m","messages":[{"role":"user","content":"hi"}]}""", "model" },
        { Chat("\"stream\":\"yes\""), "stream" },
        { Chat("\"stream\":1"), "stream" },
        { Chat("\"stream_options\":[]"), "stream_options" },
        { Chat("\"stream_options\":{\"include_usage\":1}"), "stream_options.include_usage" },
        { Chat("\"max_tokens\":0"), "max_tokens" },
        { Chat("\"max_tokens\":-1"), "max_tokens" },
        { Chat("\"max_tokens\":1.5"), "max_tokens" },
        { Chat("\"max_tokens\":\"100\""), "max_tokens" },
        { Chat("\"max_tokens\":1e2"), "max_tokens" },
        { Chat("\"max_tokens\":100.0"), "max_tokens" },
        { Chat("\"max_tokens\":9223372036854775808"), "max_tokens" },
        { Chat("\"max_tokens\":1e999"), "max_tokens" },
        { Chat("\"max_tokens\":true"), "max_tokens" },
        { Chat("\"max_completion_tokens\":1000000001"), "max_completion_tokens" },
        { Chat("\"n\":0"), "n" },
        { Chat("\"n\":1000"), "n" },
        { Chat("\"user\":7"), "user" },
        { Chat($"\"user\":\"{new string('u', 257)}\""), "user" },
        { Chat("\"metadata\":[]"), "metadata" },
        { Chat("\"metadata\":\"x\""), "metadata" },
        { Chat("\"metadata\":{\"tags\":[]}"), "metadata.tags" },
        { Chat("\"metadata\":{\"tags\":{\"Team\":7}}"), "metadata.tags.Team" },
        { Chat("\"metadata\":{\"tags\":{\"Team\":null}}"), "metadata.tags.Team" },
        { Chat("\"metadata\":{\"tags\":{\"Team\":{\"a\":\"b\"}}}"), "metadata.tags.Team" },
        { Chat("\"metadata\":{\"tags\":{\"\":\"x\"}}"), "metadata.tags." },
        { Chat("\"metadata\":{\"tags\":{\"a\":\"x\",\"A\":\"y\"}}"), "metadata.tags.A" },
        { Chat($"\"metadata\":{{\"tags\":{{\"v\":\"{new string('v', 257)}\"}}}}"), "metadata.tags.v" },
        { Chat($"\"metadata\":{{\"tags\":{{\"{new string('k', 65)}\":\"v\"}}}}"), $"metadata.tags.{new string('k', 64)}…" },
        { Chat($"\"metadata\":{{\"tags\":{{{string.Join(',', Enumerable.Range(0, 21).Select(i => $"\"t{i}\":\"v\""))}}}}}"), "metadata.tags.t20" },
        { Chat("\"metadata\":{\"mock\":7}"), "metadata.mock" },
        { Chat("\"metadata\":{\"mock\":{\"tokens\":\"1\"}}"), "metadata.mock.tokens" },
        { Chat("\"metadata\":{\"mock\":{\"status\":\"99\"}}"), "metadata.mock.status" },
        { Chat("\"metadata\":{\"mock\":{\"status\":\"204\"}}"), "metadata.mock.status" },
        { Chat("\"metadata\":{\"mock\":{\"status\":302}}"), "metadata.mock.status" },
        { Chat("\"metadata\":{\"mock\":{\"status\":600}}"), "metadata.mock.status" },
        { Chat("\"metadata\":{\"mock\":{\"prompt_tokens\":\"-1\"}}"), "metadata.mock.prompt_tokens" },
        { Chat("\"metadata\":{\"mock\":{\"prompt_tokens\":\"1e3\"}}"), "metadata.mock.prompt_tokens" },
        { Chat("\"metadata\":{\"mock\":{\"latency_ms\":1.5}}"), "metadata.mock.latency_ms" },
        { """{"model":"m"}""", "messages" },
        { Chat(messages: "null"), "messages" },
        { Chat(messages: "[]"), "messages" },
        { Chat(messages: "\"hi\""), "messages" },
        { Chat(messages: "[7]"), "messages[0]" },
        { Chat(messages: """[{"role":"user","content":"a"},{"content":"b"}]"""), "messages[1].role" },
        { Chat(messages: """[{"role":"boss","content":"a"}]"""), "messages[0].role" },
        { Chat(messages: """[{"role":"user"}]"""), "messages[0].content" },
        { Chat(messages: """[{"content":null,"role":"user"}]"""), "messages[0].content" },
        { Chat(messages: """[{"role":"user","content":7}]"""), "messages[0].content" },
        { Chat(messages: """[{"role":"user","content":{}}]"""), "messages[0].content" },
        { Chat(messages: """[{"role":"user","content":["a"]}]"""), "messages[0].content" },
    };

    [Theory]
    [MemberData(nameof(NotJson))]
    public void Read_WhatIsNotStrictJson_IsInvalidJson(string body) => Assert.Equal("invalid_json", Problem(Encoding.UTF8.GetBytes(body)).Code);

    [Theory]
    [InlineData(new byte[] { 0x7B, 0x22, 0x61, 0x22, 0x3A, 0x22, 0xC3, 0x28, 0x22, 0x7D })]
    [InlineData(new byte[] { 0x7B, 0x22, 0x61, 0x22, 0x3A, 0x22, 0xED, 0xA0, 0x80, 0x22, 0x7D })]
    [InlineData(new byte[] { 0xFF, 0xFE, 0x7B, 0x00, 0x7D, 0x00 })]
    public void Read_InvalidUtf8_IsInvalidJson(byte[] body) => Assert.Equal("invalid_json", Problem(body).Code);

    [Theory]
    [MemberData(nameof(Refused))]
    public void Read_AWrongMember_IsNamed(string body, string param)
    {
        var problem = Problem(Encoding.UTF8.GetBytes(body));

        Assert.Equal((400, "validation_error", param), (problem.Status, problem.Code, problem.Param));
    }

    [Theory]
    [InlineData(64, true)]
    [InlineData(65, false)]
    [InlineData(1_000_000, false)]
    public void Read_Nesting_EndsAt64Levels(int depth, bool accepted)
    {
        var nested = new string('[', depth - 1) + new string(']', depth - 1);

        Assert.Equal(accepted, RequestReader.Read(Encoding.UTF8.GetBytes(Chat($"\"x\":{nested}")), Endpoint.ChatCompletions, out _, out var problem));
        Assert.Equal(accepted ? null : "invalid_json", problem?.Code);
    }

    [Theory]
    [InlineData(4094, true)]
    [InlineData(4097, false)]
    [InlineData(500_000, false)]
    public void Read_MembersOfAnObject_AreBounded(int members, bool accepted)
    {
        var many = string.Join(',', Enumerable.Range(0, members).Select(i => $"\"m{i}\":0"));

        Assert.Equal(accepted, RequestReader.Read(Encoding.UTF8.GetBytes(Chat($"\"x\":{{{many}}}")), Endpoint.ChatCompletions, out _, out _));
    }

    [Fact]
    public void Read_TheSameNameInDifferentObjects_IsAccepted() =>
        Facts(Chat("\"a\":{\"x\":1,\"y\":{\"x\":1}},\"b\":[{\"x\":1},{\"x\":1}],\"x\":{}"));

    [Fact]
    public void Read_ChatRequest_GivesItsFacts()
    {
        var facts = Facts("""
            {"model":"mock/gpt-4o","stream":true,"stream_options":{"include_usage":true},"max_tokens":10,"max_completion_tokens":20,"n":3,
             "user":"u-1","metadata":{"tags":{"Project":"=x","Ünïcode":"\ud83d\ude00"},"mock":{"prompt_tokens":"1000","completion_tokens":5,
             "cached_tokens":"7","reasoning_tokens":"3","latency_ms":"0","status":"429"}},"temperature":0.5,"messages":[
             {"role":"system","content":"be"},{"role":"assistant","content":null,"tool_calls":[]},{"role":"user","content":[{"type":"text",
             "text":"\u00e9\n"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]}
            """);

        Assert.Equal("mock/gpt-4o", facts.Model);
        Assert.True(facts.Stream);
        Assert.True(facts.WantsUsageChunk);
        Assert.Equal(20, facts.OutputLimit);
        Assert.Equal(3, facts.Choices);
        Assert.Equal("u-1", facts.EndUser);
        Assert.Equal([new("Project", "=x"), new("Ünïcode", "😀")], facts.Tags);
        Assert.Equal("=x", facts.Tags["PROJECT"]);
        Assert.Equal(
            new MockScript { PromptTokens = 1000, CompletionTokens = 5, CachedTokens = 7, ReasoningTokens = 3, LatencyMs = 0, Status = 429 }, facts.Mock);
        Assert.Equal((3 * 8) + "be".Length + "[]".Length + Encoding.UTF8.GetByteCount("é\n"), facts.InputTextBytes);
        Assert.Equal(1, facts.MediaParts);
    }

    [Fact]
    public void Read_Nulls_AreAbsent()
    {
        var facts = Facts(Chat(
            "\"stream\":null,\"stream_options\":null,\"max_tokens\":null,\"n\":null,\"user\":null,\"metadata\":null,\"tools\":null"));

        Assert.False(facts.Stream);
        Assert.False(facts.WantsUsageChunk);
        Assert.Null(facts.OutputLimit);
        Assert.Equal(1, facts.Choices);
        Assert.Null(facts.EndUser);
        Assert.Empty(facts.Tags);
        Assert.Null(facts.Mock);
    }

    [Theory]
    [InlineData("""{"model":"m","prompt":"a"}""", 1)]
    [InlineData("""{"model":"m","prompt":["a","b"],"n":2,"best_of":5}""", 10)]
    [InlineData("""{"model":"m","prompt":[1,2,3]}""", 1)]
    [InlineData("""{"model":"m","prompt":[[1,2],[3]],"n":2}""", 4)]
    [InlineData("""{"model":"m"}""", 1)]
    public void Read_Completion_MultipliesChoicesByPrompts(string body, int choices) =>
        Assert.Equal(choices, Facts(body, Endpoint.Completions).Choices);

    [Theory]
    [InlineData("""{"model":"m"}""")]
    [InlineData("""{"model":"m","input":null}""")]
    [InlineData("""{"model":"m","input":[]}""")]
    [InlineData("""{"model":"m","input":7}""")]
    [InlineData("""{"model":"m","input":{}}""")]
    [InlineData("""{"model":"m","input":["a",1]}""")]
    [InlineData("""{"model":"m","input":[["a"]]}""")]
    public void Read_EmbeddingsWithoutProperInput_AreRefused(string body) =>
        Assert.Equal("input", Problem(Encoding.UTF8.GetBytes(body), Endpoint.Embeddings).Param);

    [Theory]
    [InlineData("""{"type":"thinking","thinking":[{"type":"text","text":"12345"}]}""", 32, 0)]
    [InlineData("""{"type":"document_url","document_url":"12345"}""", 5, 1)]
    [InlineData("""{"type":"x","d\u006fc_url":"12345"}""", 5, 1)]
    [InlineData("""{"type":"file","file":{"file_data":"12345"}}""", 0, 1)]
    [InlineData("""{"type":"text","text":"12345","cache_control":{}}""", 5 + 2, 0)]
    public void Read_PartsThatAreNotKnown_CountAsWhatTheySay(string part, long bytes, int media)
    {
        var facts = Facts(Chat(messages: $$"""[{"role":"user","content":[{{part}}]}]"""));

        Assert.Equal((8 + bytes, media), (facts.InputTextBytes, facts.MediaParts));
    }

    [Theory]
    [InlineData("\"passages\":[{\"text\":\"12345\"}]", 18)]
    [InlineData("\"context\":\"12345\"", 7)]
    [InlineData("\"temperature\":0.12345,\"store\":true,\"seed\":null", 0)]
    [InlineData("\"logit_bias\":{\"12345\":-100}", 0)]
    [InlineData("\"metadata\":{\"12345\":\"67890\"}", 0)]
    public void Read_MembersThatAreNotKnown_AreInTheBound_AndWhatSteersIsNot(string members, long bytes)
    {
        var (facts, usual) = (Facts(Chat(members)), Facts(Chat()));

        Assert.Equal((usual.InputTextBytes, bytes), (facts.InputTextBytes, facts.OtherBytes));
        Assert.Equal(RequestBound.Of(usual).InputTokens + bytes, RequestBound.Of(facts).InputTokens);
    }

    [Fact]
    public void Read_Embeddings_IgnoresWhatOnlyChatsHave()
    {
        var facts = Facts("""{"model":"m","input":["ab","c"],"stream":"x","max_tokens":"y"}""", Endpoint.Embeddings);

        Assert.False(facts.Stream);
        Assert.Equal(8 + 8 + 3, facts.InputTextBytes);
    }

    [Theory]
    [InlineData("1e999")]
    [InlineData("-123456789012345678901234567890.000000001E+400")]
    [InlineData("{\"a\":[null,true,-0.0]}")]
    [InlineData("\"\\ud83d\\ude00 \\/ \\b\"")]
    public void Read_AnUnknownMember_MayBeAnyJson(string value) => Assert.Empty(Facts(Chat($"\"x\":{value}")).Plan.Cuts);

    [Fact]
    public void Read_TagsAtTheirLimits_AreTakenAsWritten()
    {
        var tags = Enumerable.Range(0, 20).ToDictionary(i => new string('k', 62) + i.ToString("00", CultureInfo.InvariantCulture), _ => new string('é', 256));

        Assert.Equal(tags, Facts(Chat($"\"metadata\":{{\"tags\":{JsonSerializer.Serialize(tags)}}}")).Tags);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\"tags\":null")]
    [InlineData("\"tags\":{}")]
    [InlineData("\"Tags\":{\"a\":7},\"x\":{\"tags\":{\"a\":7}}")]
    public void Read_MetadataWithoutTags_HasNone(string metadata) => Assert.Empty(Facts(Chat($"\"metadata\":{{{metadata}}}")).Tags);

    [Fact]
    public void Read_OneNameTwiceAtAnyDepth_IsRefusedAndOnceIsNot() =>
        Gen.Select(Json.Member, Json.Value, Gen.Int[0, 20], Gen.Bool).Sample((name, value, depth, twice) =>
        {
            // The second spelling is another one of the same name.
            var escaped = $"\\u{(int)name[0]:x4}{name[1..]}";
            var inner = $"{{\"{name}\":{value},\"other\":0{(twice ? $",\"{escaped}\":1" : "")}}}";
            var nested = Enumerable.Range(0, depth).Aggregate(inner, (json, level) => level % 2 == 0 ? $"[0,{json}]" : $"{{\"{name}\":{json}}}");

            var read = RequestReader.Read(Encoding.UTF8.GetBytes(Chat($"\"x\":{nested}")), Endpoint.ChatCompletions, out _, out var problem);

            Assert.Equal((!twice, twice ? "invalid_json" : null, twice ? name : null), (read, problem?.Code, problem?.Param));
        });

    [Fact]
    public void Read_AnyDamage_IsAcceptedOrRefusedAndNeverThrows()
    {
        var whole = Encoding.UTF8.GetBytes(Chat(
            "\"stream_options\":{\"include_usage\":true},\"n\":2,\"max_tokens\":5,\"metadata\":{\"tags\":{\"a\":\"\\ud83d\\ude00\"},\"mock\":{\"status\":\"200\"}}"));
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Int[0, whole.Length - 1], Gen.OneOf(Gen.Byte, Gen.OneOf("\"\\{}[],:0u"u8.ToArray())), Gen.Enum<Endpoint>()).Sample(
            (at, other, value, endpoint) =>
            {
                byte[] damaged = [.. whole];
                damaged[at] = value;
                damaged[other] = damaged[at / 2];

                var read = RequestReader.Read(damaged, endpoint, out var facts, out var problem);

                // What is accepted must be JSON to everyone, and stay so when it is rewritten.
                Assert.Equal((read, read), (facts is not null, problem is null));
                if (facts is not null)
                {
                    using var sent = JsonDocument.Parse(BodyRewriter.Rewrite(damaged, facts.Plan, new BodyChanges { Model = "x", AskUsage = endpoint != Endpoint.Embeddings }));
                    Assert.Equal("x", sent.RootElement.GetProperty("model").GetString());
                }
            },
            iter: 2000);
    }

    [Fact]
    public void Read_AnyAcceptedChat_SaysWhatAParserSays() => Gen.Select(Json.Value, Gen.Int[1, 128], Gen.Bool, Gen.OneOf("a", "~ /b", "\\u0041", "x\\\"y"))
        .Sample((value, choices, stream, model) =>
        {
            var body = $"{{ \"z\" : {value}, \"n\":{choices} ,\"model\":\"{model}\",\"stream\" : {(stream ? "true" : "false")},\"messages\":{Hello}}}";
            using var parsed = JsonDocument.Parse(body);

            var facts = Facts(body);
            var other = value[0] is '"' or '{' or '[' ? Encoding.UTF8.GetByteCount(value) : 0L;

            Assert.Equal(
                (parsed.RootElement.GetProperty("model").GetString(), choices, stream, 8 + 2L, other),
                (facts.Model, facts.Choices, facts.Stream, facts.InputTextBytes, facts.OtherBytes));
            Assert.Equal($"\"{model}\"", Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(body)[facts.Plan.Model]));
        });

    [Theory]
    [InlineData("\"max_tokens\":20,\"max_completion_tokens\":10", 20)]
    [InlineData("\"max_tokens\":10,\"max_completion_tokens\":20", 20)]
    [InlineData("\"max_completion_tokens\":10,\"max_tokens\":null", 10)]
    public void Read_TwoOutputLimits_TheLargerBoundsTheCost(string limits, long limit) => Assert.Equal(limit, Facts(Chat(limits)).OutputLimit);

    [Theory]
    [InlineData("a", 1)]
    [InlineData("\\u0061", 1)]
    [InlineData("\\n\\/\\\"", 3)]
    [InlineData("\\u00e9é", 4)]
    [InlineData("\\u65e5日", 6)]
    [InlineData("\\ud83d\\ude00😀", 8)]
    public void Read_EscapedText_CountsAsWhatItMeans(string content, long bytes) =>
        Assert.Equal(8 + bytes, Facts(Chat(messages: $"[{{\"role\":\"user\",\"content\":\"{content}\"}}]")).InputTextBytes);

    private static string Chat(string? more = null, string? model = "\"m\"", string messages = Hello)
    {
        var members = new[] { model is null ? null : $"\"model\":{model}", more, $"\"messages\":{messages}" };
        return $"{{{string.Join(',', members.Where(m => m is not null))}}}";
    }

    private static RequestFacts Facts(string body, Endpoint endpoint = Endpoint.ChatCompletions)
    {
        var read = RequestReader.Read(Encoding.UTF8.GetBytes(body), endpoint, out var facts, out var problem);
        Assert.True(read, problem?.Message);
        return facts!;
    }

    private static RequestProblem Problem(byte[] body, Endpoint endpoint = Endpoint.ChatCompletions)
    {
        Assert.False(RequestReader.Read(body, endpoint, out _, out var problem));
        return problem;
    }
}

using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Dvara.Providers;
using Xunit;

namespace Dvara.UnitTests.Providers;

public sealed class BodyRewriterTests
{
    private const string Messages = "\"messages\" : [{\"role\":\"user\",\"content\":\"h\\u00e9, \\\"you\\\"\"}]";

    private static readonly Gen<string> Space = Gen.OneOf("", " ", "\n\t", "  ");

    // Members that the gateway must not touch, in spellings that a rewrite by parsing would change.
    private static readonly Gen<string> Foreign = Gen.OneOf(
        "\"temperature\":1.0", "\"x\" : [1 ,2]", "\"seed\":1E+2", "\"sto\\u0070\":\"\\/\"", "\"o\":{ }", "\"u\":\"é\"");

    private static readonly Gen<string> InMetadata = Gen.OneOf(
        "\"tags\":{\"a\":\"b, }\"}", "\"mock\" : {\"status\":\"200\"}", "\"keep\":\"1\"", "\"keep2\" :\"{\"");

    private static readonly Gen<string> Body =
        from space in Space
        from foreign in Foreign.Array[0, 6]
        from metadata in InMetadata.Array[0, 4]
        from options in Gen.OneOf(
            "", "\"stream_options\":null", "\"stream_options\":{ }", "\"stream_options\":{\"include_usage\":false}", "\"stream_options\": {\"x\":1}")
        from limit in Gen.OneOf("", "\"max_completion_tokens\":null", "\"max_tokens\":7")
        from order in Gen.Shuffle(Enumerable.Range(0, 12).ToArray())
        let members = foreign.DistinctBy(m => m[..4]).Append($"\"metadata\":{{{space}{string.Join(space + "," + space, metadata.Distinct())}{space}}}")
            .Append(options).Append(limit).Append("\"model\" : \"mock/a\"").Append(Messages).Where(m => m.Length > 0).ToArray()
        select "{" + space + string.Join(space + "," + space, order.Where(i => i < members.Length).Select(i => members[i])) + space + "}";

    private static readonly Gen<BodyChanges> Changes =
        from model in Gen.OneOf(null, "a", "weird \"é\" name")
        from ask in Gen.Bool
        from limit in Gen.OneOf((long?)null, 256L)
        from old in Gen.Bool
        select new BodyChanges { Model = model, AskUsage = ask, OutputLimit = limit, OutputLimitAsMaxTokens = limit is not null && old };

    /// <summary>A <c>stream_options</c> as it came, and as it goes when usage is asked for.</summary>
    private static readonly Gen<(string Came, string Asking)> Options = Gen.OneOf(
        ("", ""),
        ("\"stream_options\" : null", "\"stream_options\" : {\"include_usage\":true}"),
        ("\"stream_options\":{ }", "\"stream_options\":{\"include_usage\":true }"),
        ("\"stream_options\":{\n\"x\":1}", "\"stream_options\":{\"include_usage\":true,\n\"x\":1}"),
        ("\"stream_options\":{\"x\":1, \"include_usage\" : false }", "\"stream_options\":{\"x\":1, \"include_usage\" : true }"),
        ("\"stream_\\u006fptions\":{\"include_us\\u0061ge\":null}", "\"stream_\\u006fptions\":{\"include_us\\u0061ge\":true}"));

    /// <summary>A body, and what must come out of it, made by choosing members instead of bytes.</summary>
    private static readonly Gen<(string Body, BodyChanges Changes, string Expected)> Exact =
        from foreign in Foreign.Array[0, 6]
        from metadata in InMetadata.Array[0, 4]
        from options in Options
        from changes in Changes
        from order in Gen.Shuffle(Enumerable.Range(0, 10).ToArray())
        let model = changes.Model is null ? "\"mock/a\"" : changes.Model == "a" ? "\"a\"" : "\"weird \\\"é\\\" name\""
        let members = foreign.Distinct().Append(Messages).Select(m => (Came: m, Goes: m))
            .Append((Came: "\"model\" : \"mock/a\"", Goes: $"\"model\" : {model}"))
            .Append(Metadata(metadata.Distinct().ToArray()))
            .Append((Came: options.Came, Goes: changes.AskUsage ? options.Asking : options.Came)).ToArray()
        let shuffled = order.Where(i => i < members.Length).Select(i => members[i])
        let first = new[]
        {
            changes.AskUsage && options.Came.Length == 0 ? "\"stream_options\":{\"include_usage\":true}" : "",
            changes.OutputLimit is null ? "" : $"\"{(changes.OutputLimitAsMaxTokens ? "max_tokens" : "max_completion_tokens")}\":{changes.OutputLimit}",
        }
        select (Object(shuffled.Select(m => m.Came)), changes, Object(first.Concat(shuffled.Select(m => m.Goes))));

    [Fact]
    public void Rewrite_AnyBody_ChangesWhatItMustAndNothingElse() => Gen.Select(Body, Changes).Sample((body, changes) =>
    {
        var expected = Expected(body, changes);
        var actual = JsonNode.Parse(Rewritten(body, changes))!;
        return JsonNode.DeepEquals(expected, actual);
    });

    [Fact]
    public void Rewrite_AnyBody_KeepsEveryOtherByteAsItCame() => Exact.Sample((body, changes, expected) => Assert.Equal(expected, Rewritten(body, changes)));

    [Fact]
    public void Rewrite_WhenNothingChanges_IsTheSameMemory()
    {
        var body = Encoding.UTF8.GetBytes($"{{\"model\":\"m\",\"metadata\":{{\"a\":\"b\"}},{Messages}}}");

        var rewritten = BodyRewriter.Rewrite(body, Plan(body), default);

        Assert.True(rewritten.IsSingleSegment);
        Assert.True(rewritten.First.Equals(new ReadOnlyMemory<byte>(body)));
    }

    [Theory]
    [InlineData("""{"metadata":{"tags":{}},"model":"m",M}""", """{"model":"m",M}""")]
    [InlineData("""{"model":"m","metadata":{"tags":{}},M}""", """{"model":"m",M}""")]
    [InlineData("""{"model":"m",M , "metadata":{"mock":{},"tags":null} }""", """{"model":"m",M }""")]
    [InlineData("""{"model":"m","metadata":{"tags":{},"a":"b"},M}""", """{"model":"m","metadata":{"a":"b"},M}""")]
    [InlineData("""{"model":"m","metadata":{"a":"b","tags":{}},M}""", """{"model":"m","metadata":{"a":"b"},M}""")]
    [InlineData("""{"model":"m","metadata":{"mock":{}, "a":"b" ,"tags":{}},M}""", """{"model":"m","metadata":{"a":"b"},M}""")]
    [InlineData("""{"model":"m","metadata":{},M}""", """{"model":"m","metadata":{},M}""")]
    public void Rewrite_TagsAndMock_AreCutWithTheirComma(string body, string sent) =>
        Assert.Equal(With(sent), Rewritten(With(body), default));

    [Theory]
    [InlineData("""{"model":"m",M}""", """{"stream_options":{"include_usage":true},"model":"m",M}""")]
    [InlineData("""{"model":"m","stream_options":null,M}""", """{"model":"m","stream_options":{"include_usage":true},M}""")]
    [InlineData("""{"model":"m","stream_options":{ },M}""", """{"model":"m","stream_options":{"include_usage":true },M}""")]
    [InlineData("""{"model":"m","stream_options":{"x":1},M}""", """{"model":"m","stream_options":{"include_usage":true,"x":1},M}""")]
    [InlineData("""{"model":"m","stream_options":{"include_usage":null},M}""", """{"model":"m","stream_options":{"include_usage":true},M}""")]
    public void Rewrite_AskingForUsage_TouchesOnlyThat(string body, string sent) =>
        Assert.Equal(With(sent), Rewritten(With(body), new BodyChanges { AskUsage = true }));

    [Theory]
    [InlineData("""{"model":"m","max_tokens":null,M}""", false, """{"max_completion_tokens":5,"model":"m","max_tokens":null,M}""")]
    [InlineData("""{"model":"m","max_tokens": 9 ,M}""", true, """{"model":"m","max_tokens": 5 ,M}""")]
    [InlineData("""{"model":"m","max_completion_tokens":9,M}""", false, """{"model":"m","max_completion_tokens":5,M}""")]
    [InlineData("""{"model":"m","max_completion_tokens":9,M}""", true, """{"max_tokens":5,"model":"m","max_completion_tokens":9,M}""")]
    public void Rewrite_AnOutputLimit_IsSetUnderItsName(string body, bool asMaxTokens, string sent) =>
        Assert.Equal(With(sent), Rewritten(With(body), new BodyChanges { OutputLimit = 5, OutputLimitAsMaxTokens = asMaxTokens }));

    /// <summary>An empty text is no member.</summary>
    private static string Object(IEnumerable<string> members) => "{" + string.Join(',', members.Where(m => m.Length > 0)) + "\n}";

    private static (string Came, string Goes) Metadata(string[] inside)
    {
        var kept = inside.Where(m => m.StartsWith("\"keep", StringComparison.Ordinal)).ToArray();
        return (Text(inside), kept.Length == 0 && inside.Length > 0 ? "" : Text(kept));

        static string Text(string[] members) => $"\"metadata\": {{{string.Join(',', members)}}}";
    }

    private static string With(string body) => body.Replace("M", Messages, StringComparison.Ordinal);

    private static BodyPlan Plan(byte[] body)
    {
        Assert.True(RequestReader.Read(body, Endpoint.ChatCompletions, out var facts, out var problem), problem?.Message);
        return facts.Plan;
    }

    private static string Rewritten(string body, BodyChanges changes)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        return Encoding.UTF8.GetString(BodyRewriter.Rewrite(bytes, Plan(bytes), changes).ToArray());
    }

    /// <summary>The same change, made the slow way on a parsed tree.</summary>
    private static JsonObject Expected(string body, BodyChanges changes)
    {
        var tree = JsonNode.Parse(body)!.AsObject();
        if (tree["metadata"] is JsonObject metadata && (metadata.Remove("tags") | metadata.Remove("mock")) && metadata.Count == 0)
        {
            tree.Remove("metadata");
        }

        tree["model"] = changes.Model ?? tree["model"]!.GetValue<string>();
        if (changes.AskUsage)
        {
            var options = tree["stream_options"] as JsonObject ?? [];
            tree["stream_options"] = options.Parent is null ? options : options.DeepClone();
            tree["stream_options"]!["include_usage"] = true;
        }

        if (changes.OutputLimit is { } limit)
        {
            tree[changes.OutputLimitAsMaxTokens ? "max_tokens" : "max_completion_tokens"] = limit;
        }

        return tree;
    }
}

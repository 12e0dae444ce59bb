using System.Text;
using System.Text.Json.Nodes;
using Dvara.Server.Pricing;
using Xunit;

namespace Dvara.UnitTests.Pricing;

public sealed class PriceFieldsTests
{
    private const string Header = "provider,model,input_per_million_usd,output_per_million_usd";

    [Theory]
    [InlineData("inputPerMillionUsd", "-1")]
    [InlineData("inputPerMillionUsd", "-0.0")]
    [InlineData("inputPerMillionUsd", "2.5000001")]
    [InlineData("inputPerMillionUsd", "1e40")]
    [InlineData("inputPerMillionUsd", "1e-7")]
    [InlineData("inputPerMillionUsd", "1000000.000001")]
    [InlineData("inputPerMillionUsd", "99999999999999999999999999999999999999")]
    [InlineData("inputPerMillionUsd", "\"NaN\"")]
    [InlineData("inputPerMillionUsd", "\"2,5\"")]
    [InlineData("inputPerMillionUsd", "\"2.5 USDD\"")]
    [InlineData("inputPerMillionUsd", "\"٢\"")]
    [InlineData("inputPerMillionUsd", "true")]
    [InlineData("inputPerMillionUsd", "[2.5]")]
    [InlineData("outputPerMillionUsd", "null")]
    [InlineData("perRequestUsd", "0.0000000000001")]
    [InlineData("maxOutputTokens", "0")]
    [InlineData("maxOutputTokens", "1.5")]
    [InlineData("maxOutputTokens", "2147483648")]
    [InlineData("provider", "\"\"")]
    [InlineData("provider", "\"OpenAI\"")]
    [InlineData("provider", "\"open ai\"")]
    [InlineData("provider", "\"openai\\n\"")]
    [InlineData("model", "\"gpt-*-mini\"")]
    [InlineData("model", "\"gpt-4o**\"")]
    [InlineData("model", "\"gpt 4o\"")]
    [InlineData("model", "\"gpt-4o\\u0000\"")]
    [InlineData("model", "\"gpt-４o\"")]
    [InlineData("tenantId", "\"acme\"")]
    [InlineData("effectiveFrom", "\"2026-04-01\"")]
    [InlineData("effectiveTo", "\"2026-03-01T00:00:00Z\"")]
    [InlineData("sourceUrl", "\"javascript:alert(1)\"")]
    [InlineData("checkedOn", "\"2026-02-30\"")]
    [InlineData("cachedInputPerMilionUsd", "1")]
    [InlineData("provider", "7")]
    [InlineData("model", "true")]
    [InlineData("effectiveFrom", "20260401")]
    [InlineData("maxOutputTokens", "[1]")]
    [InlineData("source", "\"BUILTIN\"")]
    public void Field_ThatIsWrong_IsNamed(string field, string json)
    {
        var body = new JsonObject
        {
            ["provider"] = "openai",
            ["model"] = "gpt-4o",
            ["inputPerMillionUsd"] = 2.5m,
            ["outputPerMillionUsd"] = 10,
            ["effectiveFrom"] = "2026-04-01T00:00:00Z",
        };
        body[field] = JsonNode.Parse(json);

        var fields = PriceFields.Of(body);

        Assert.Null(fields.ToDraft());
        Assert.Equal(field, Assert.Single(fields.Errors).Field);
    }

    [Theory]
    [InlineData("mock", "mock/gpt-4o", "gpt-4o")]
    [InlineData("mock", "mock/*", "*")]
    [InlineData("openai", "openai/gpt-4o-20*", "gpt-4o-20*")]
    [InlineData("mock", "mockery", null)]
    [InlineData("mock", "openai/gpt-4o", null)]
    [InlineData("groq", "groq/compound", null)]
    [InlineData("groq", "openai/gpt-oss-120b", null)]
    [InlineData("openrouter", "openrouter/auto", null)]
    [InlineData("in-house", "in-house/small", null)]
    public void Model_WithItsProviderInFront_IsRefused_WhereNoCallCouldFindIt(string provider, string model, string? instead)
    {
        var fields = PriceFields.Of(new JsonObject { ["provider"] = provider, ["model"] = model, ["inputPerMillionUsd"] = 1, ["outputPerMillionUsd"] = 2 });

        var draft = fields.ToDraft();

        Assert.Equal(instead is null, draft is not null);
        Assert.Equal(instead is null ? [] : [("model", $"model is the name alone, without its provider: {instead}.")], fields.Errors.Select(error => (error.Field, error.Message)));
    }

    [Theory]
    [InlineData("2.5", 2_500_000)]
    [InlineData("\"2.5\"", 2_500_000)]
    [InlineData("2.50000000", 2_500_000)]
    [InlineData("0.000001", 1)]
    [InlineData("0", 0)]
    [InlineData("1000000", 1_000_000_000_000)]
    public void Money_AsNumberOrText_KeepsEveryDigit(string json, long rate)
    {
        var draft = PriceFields.Of(JsonNode.Parse($$"""
            {"provider":"openai","model":"gpt-4o*","inputPerMillionUsd":{{json}},"outputPerMillionUsd":"0.1","perRequestUsd":"0.000000000001","source":"CUSTOM","id":"x"}
            """)!.AsObject()).ToDraft()!;

        Assert.Equal(rate, draft.InputRate);
        Assert.Equal(1, (long)draft.PerRequest!.Value.PicoUsd);
        Assert.Null(draft.CachedInputRate);
    }

    [Theory]
    [InlineData("provider;model;inputPerMillionUsd\nopenai;a;1\n", "rows[1]")]
    [InlineData("", "rows[1].provider")]
    [InlineData("provider,model,input_per_million_usd\nopenai,a,1\n", "rows[1].outputPerMillionUsd")]
    [InlineData(Header + ",output_per_million_usd\nopenai,a,1,1,1\n", "rows[1].outputPerMillionUsd")]
    [InlineData(Header + "\nopenai,a,1,1\nopenai,b,\"2,5\",1\n", "rows[3].inputPerMillionUsd")]
    [InlineData(Header + "\nopenai,a,1\n", "rows[2]")]
    [InlineData(Header + "\nopenai,a,1,1,1\n", "rows[2]")]
    [InlineData(Header + "\nopenai,\"a,1,1\nopenai,b,1,1\n", "rows[2]")]
    public void File_ThatIsWrong_NamesTheRow(string csv, string field) =>
        Assert.Equal(field, PriceCsv.Read(Encoding.UTF8.GetBytes(csv)).Errors[0].Field);

    [Theory]
    [InlineData("\uFEFF" + Header + "\r\nopenai,a,1,2\r\n")]
    [InlineData(Header + "\n openai , a , 1 , 2")]
    [InlineData("model,outputPerMillionUsd,inputPerMillionUsd,provider,maxOutputTokens\na,2,1,openai,\n")]
    public void File_InAnyUsualForm_IsRead(string csv)
    {
        var (rows, errors) = PriceCsv.Read(Encoding.UTF8.GetBytes(csv));

        Assert.Empty(errors);
        var row = Assert.Single(rows);
        Assert.Equal((2, "openai", "a", 1_000_000, 2_000_000), (row.Number, row.Draft.Provider, row.Draft.Model, row.Draft.InputRate, row.Draft.OutputRate));
    }

    [Fact]
    public void File_WithMoreRowsThanAllowed_IsRefused()
    {
        var csv = Header + "\n" + string.Concat(Enumerable.Range(0, PriceCsv.RowsMax + 1).Select(i => $"openai,m{i},1,1\n"));

        Assert.Contains($"more than {PriceCsv.RowsMax} rows", Assert.Single(PriceCsv.Read(Encoding.UTF8.GetBytes(csv)).Errors).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void File_OfNoise_IsNeverACrash()
    {
        var random = new Random(5);
        for (var i = 0; i < 2000; i++)
        {
            var noise = new byte[random.Next(300)];
            random.NextBytes(noise);

            Assert.NotEmpty(PriceCsv.Read(noise).Errors);
            Assert.NotEmpty(PriceCsv.Read([.. Encoding.UTF8.GetBytes(Header + "\n,"), .. noise]).Errors);
        }
    }
}

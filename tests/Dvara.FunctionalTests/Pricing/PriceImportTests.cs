using System.Net;
using System.Text;
using Xunit;
using static Dvara.FunctionalTests.Pricing.PricingNode;

namespace Dvara.FunctionalTests.Pricing;

public sealed class PriceImportTests(SharedPricingNode shared) : IClassFixture<SharedPricingNode>
{
    private const string Header = "provider,model,input_per_million_usd,output_per_million_usd,tenant_id,effective_from,effective_to\n";

    private readonly PricingNode _node = shared.Node;

    [Fact]
    public async Task Import_WithOneBadRow_ImportsNothing_AndNamesEveryBadRow()
    {
        await _node.PostAsync(Price("there", 1));
        var before = _node.Book.All.Count;

        var refused = await _node.ImportAsync(Header + """
            openai,a,1,2,,,
            openai,b,-1,2,,,
            openai,c,1,2,acme,,
            openai,there,5,5,,2026-04-15T12:00:00Z,

            """);

        refused.Refuses(HttpStatusCode.BadRequest, "validation_error", "rows[3].inputPerMillionUsd");
        refused.Refuses(HttpStatusCode.BadRequest, "validation_error", "rows[4].tenantId");
        Assert.Equal(before, _node.Book.All.Count);
        // What only the stored prices can tell is told when the rows themselves are right.
        (await _node.ImportAsync(Header + "openai,a,1,2,,,\nopenai,there,5,5,,2026-04-15T12:00:00Z,\n"))
            .Refuses(HttpStatusCode.BadRequest, "validation_error", "rows[3].effectiveFrom");
        Assert.Equal(before, _node.Book.All.Count);
        Assert.Null(_node.InputRate("a", _node.Now));
    }

    [Fact]
    public async Task Import_AppliesTheRulesOfSinglePrices_AndCanBeRepeated()
    {
        await using var node = await PricingNode.StartAsync();
        await node.PostAsync(Price("there", 1));
        const string Csv = Header + "openai,new,1,2,,,\nopenai,there,5,5,,,\nopenai,new,3,4,01890000-0000-7000-8000-000000000001,,\n";

        var dry = (await node.ImportAsync(Csv, "?dryRun=true")).Is(HttpStatusCode.OK);

        Assert.Equal(["CREATED", "CHANGED", "CREATED"], dry.Items.Select(item => item.GetProperty("outcome").GetString()));
        Assert.All(dry.Items, item => Assert.Null(item.GetProperty("id").GetString()));
        Assert.Null(node.InputRate("new", node.Now));

        var wet = (await node.ImportAsync(Csv)).Is(HttpStatusCode.OK);

        Assert.Equal((3, 2, 1, 0), Counts(wet));
        Assert.Equal(1, node.InputRate("new", node.Now, Other));
        Assert.Equal(3, node.InputRate("new", node.Now, Acme));
        Assert.Equal(1, node.InputRate("there", node.Now.AddMilliseconds(4999)));
        Assert.Equal(5, node.InputRate("there", node.Now.AddSeconds(5)));
        var count = node.Book.All.Count;
        Assert.Equal((3, 0, 0, 3), Counts(await node.ImportAsync(Csv)));
        node.Clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal((3, 0, 0, 3), Counts(await node.ImportAsync(Csv)));
        Assert.Equal(count, node.Book.All.Count);
    }

    [Fact]
    public async Task Import_OfANewKeysHistory_IsTakenWhole_AndARepeatedRowIsNot()
    {
        (await _node.ImportAsync(Header + "openai,h,1,1,,2026-01-01T00:00:00Z,\nopenai,h,2,1,,2026-03-01T00:00:00Z,\n")).Is(HttpStatusCode.OK);

        Assert.Equal(1, _node.InputRate("h", new(2026, 2, 28, 0, 0, 0, TimeSpan.Zero)));
        Assert.Equal(2, _node.InputRate("h", _node.Now));
        (await _node.ImportAsync(Header + "openai,twice,1,1,,,\nopenai,twice,2,1,,,\n"))
            .Refuses(HttpStatusCode.BadRequest, "validation_error", "rows[3].effectiveTo");
        Assert.Null(_node.InputRate("twice", _node.Now));
    }

    [Fact]
    public async Task Import_OfWhatIsNoPriceFile_IsRefused()
    {
        (await _node.ImportAsync("provider;model;input_per_million_usd\nopenai;a;1,5\n")).Refuses(HttpStatusCode.BadRequest, "validation_error", "rows[1]");
        (await _node.ImportAsync("")).Refuses(HttpStatusCode.BadRequest, "validation_error", "rows[1].provider");
        (await _node.ImportAsync(Header, "?dryRun=yes")).Refuses(HttpStatusCode.BadRequest, "validation_error", "dryRun");
        (await _node.SendAsync(HttpMethod.Post, "/import", new { provider = "openai" })).Refuses(HttpStatusCode.UnsupportedMediaType, "unsupported_media_type");
        Assert.Equal(HttpStatusCode.OK, (await _node.ImportAsync("\uFEFF" + Header)).Status);
    }

    [Fact]
    public async Task Import_OfAThousandBadRows_AnswersAHundredOfThem()
    {
        var refused = await _node.ImportAsync(Header + string.Concat(Enumerable.Range(0, 1000).Select(i => $"openai,m{i},x,1,,,\n")));

        Assert.Contains("And 900 more.", refused.Refuses(HttpStatusCode.BadRequest, "validation_error", "rows[101].inputPerMillionUsd"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Import_LargerThanItsLimit_Is413()
    {
        using var body = new ByteArrayContent(Encoding.UTF8.GetBytes(Header + new string('x', 8 << 20)));
        body.Headers.ContentType = new("text/csv");
        using var request = new HttpRequestMessage(HttpMethod.Post, PricingNode.Path + "/import") { Content = body };
        // Asks before it sends: the answer is not lost in a connection that is closed on the body.
        request.Headers.ExpectContinue = true;

        using var answer = await _node.Admin.SendAsync(request);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
    }

    [Fact]
    public async Task Import_OfAsManyRowsAsAllowed_IsTaken()
    {
        var imported = await _node.ImportAsync(Header + string.Concat(Enumerable.Range(0, 10_000).Select(i => $"openai,m{i},1,1,,,\n")));

        Assert.Equal((10_000, 10_000, 0, 0), Counts(imported));
        Assert.Equal(1, _node.InputRate("m9999", _node.Now));
    }

    private static (int Rows, int Created, int Changed, int Unchanged) Counts(PricingNode.Answer answer)
    {
        var json = answer.Is(HttpStatusCode.OK).Json;
        return (json.GetProperty("rows").GetInt32(), json.GetProperty("created").GetInt32(), json.GetProperty("changed").GetInt32(), json.GetProperty("unchanged").GetInt32());
    }
}

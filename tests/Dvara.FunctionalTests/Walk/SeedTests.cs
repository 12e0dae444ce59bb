using System.Globalization;
using System.Text.Json.Nodes;
using CsvHelper;
using Dvara.Testing;
using UglyToad.PdfPig;
using Xunit;

namespace Dvara.FunctionalTests.Walk;

/// <summary>Runs <c>tests/seed.sh</c>, the whole job as curl commands, and works every amount out again from the prices.</summary>
public sealed class SeedTests : IAsyncLifetime
{
    private readonly string _out = Directory.CreateTempSubdirectory("dvara-seed-").FullName;

    public async ValueTask InitializeAsync() =>
        await Shell.RunAsync(Repository.Root, TimeSpan.FromMinutes(2), "bash", "tests/seed.sh", _out);

    public ValueTask DisposeAsync()
    {
        Directory.Delete(_out, recursive: true);
        return default;
    }

    [Fact]
    public void Walk_AgreesToTheLastPicoDollar()
    {
        var prices = Read("prices.json")["items"]!.AsArray().ToDictionary(p => (string)p!["model"]!, p => p!);
        decimal Rate(string model, string side) => Usd(prices[model][side]) / 1_000_000m;
        decimal Cost(string model, int input, int output) => (input * Rate(model, "inputPerMillionUsd")) + (output * Rate(model, "outputPerMillionUsd"));

        var large = Cost("gpt-4o", 1000, 500) + Cost("gpt-4o", 2000, 1000);
        var mini = Cost("gpt-4o-mini", 7, 3);
        var embedding = Cost("text-embedding-3-small", 11, 0);
        var total = large + mini + embedding;

        AssertCosts(total);
        AssertSummary(total, new() { ["gpt-4o"] = large, ["gpt-4o-mini"] = mini, ["text-embedding-3-small"] = embedding });
        AssertByTag(total, apollo: Cost("gpt-4o", 1000, 500) + embedding, zeus: Cost("gpt-4o", 2000, 1000), untagged: mini);
        AssertStatements(total);
        AssertPdf(total);
        AssertCsv(total);
        AssertAudit();
    }

    private void AssertCosts(decimal total)
    {
        var lines = Read("costs.json")["items"]!.AsArray();
        Assert.Equal(4, lines.Count);
        Assert.All(lines, line => Assert.Equal("SETTLED", (string?)line!["state"]));
        Assert.Equal(total, lines.Sum(line => Usd(line!["totalCostUsd"])));
        Assert.Equal(total, lines.Sum(line => Usd(line!["inputCostUsd"]) + Usd(line["outputCostUsd"])));

        var whole = lines.Single(line => (int)line!["inputTokens"]! == 1000)!;
        Assert.Contains("x-dvara-cost-usd: " + Usd(whole["totalCostUsd"]).ToString(CultureInfo.InvariantCulture), File.ReadAllText(Path.Combine(_out, "whole.json.headers")), StringComparison.OrdinalIgnoreCase);
        Assert.EndsWith("data: [DONE]\n\n", File.ReadAllText(Path.Combine(_out, "stream.txt")), StringComparison.Ordinal);
        Assert.DoesNotContain("\"usage\"", File.ReadAllText(Path.Combine(_out, "stream.txt")), StringComparison.Ordinal);
    }

    private void AssertSummary(decimal total, Dictionary<string, decimal> byModel)
    {
        var summary = Read("summary.json");
        Assert.Equal(total, Usd(summary["totalCostUsd"]));
        Assert.Equal(4, (int)summary["requestCount"]!);
        // 23:59:59 means midnight; the window that was understood is echoed.
        Assert.Equal("2026-05-01T00:00:00Z", (string?)summary["to"]);
        Assert.Equal(byModel, summary["groups"]!.AsArray().ToDictionary(g => (string)g!["key"]!["model"]!, g => Usd(g!["totalCostUsd"])));
        Assert.All(summary["groups"]!.AsArray(), group => Assert.Equal("mock", (string?)group!["key"]!["provider"]));
    }

    private void AssertByTag(decimal total, decimal apollo, decimal zeus, decimal untagged)
    {
        var byTag = Read("by-tag.json");
        var groups = byTag["groups"]!.AsArray().ToDictionary(g => (string)g!["value"]!, g => Usd(g!["totalCostUsd"]));
        Assert.Equal(total, Usd(byTag["totalCostUsd"]));
        Assert.Equal(new() { ["apollo"] = apollo, ["zeus"] = zeus, ["(untagged)"] = untagged }, groups);
    }

    private void AssertStatements(decimal total)
    {
        Assert.Equal("PROVISIONAL", (string?)Read("provisional.json")["status"]);
        var statement = Read("statement.json");
        Assert.Equal("FINAL", (string?)statement["status"]);
        Assert.NotNull((string?)statement["number"]);
        Assert.Equal(total, Usd(statement["totalUsd"]));
        Assert.Equal(total, statement["lines"]!.AsArray().Sum(line => Usd(line!["totalCostUsd"])));
        Assert.Equal(4, (int)statement["requestCount"]!);
        // A month that is closed is answered, not made again.
        Assert.Equal(statement.ToJsonString(), Read("again.json").ToJsonString());
    }

    private void AssertPdf(decimal total)
    {
        using var pdf = PdfDocument.Open(Path.Combine(_out, "statement.pdf"));
        var text = string.Join(' ', pdf.GetPages().Select(page => string.Join(' ', page.GetWords())));
        var statement = Read("statement.json");
        Assert.Contains("Acme Ltd", text, StringComparison.Ordinal);
        Assert.Contains((string)statement["tenantId"]!, text, StringComparison.Ordinal);
        Assert.Contains((string)statement["number"]!, text, StringComparison.Ordinal);
        Assert.Contains("1 April 2026 \u2013 30 April 2026", text, StringComparison.Ordinal);
        Assert.Contains(total.ToString("0.############", CultureInfo.InvariantCulture), text, StringComparison.Ordinal);
        Assert.Contains("checkout", text, StringComparison.Ordinal);
        Assert.Contains("apollo", text, StringComparison.Ordinal);
    }

    private void AssertCsv(decimal total)
    {
        using var csv = CsvReader.FromFile(Path.Combine(_out, "statement.csv"));
        var rows = new List<Dictionary<string, string>>();
        while (csv.Read())
        {
            rows.Add(Enumerable.Range(0, csv.FieldCount).ToDictionary(i => csv.Headers[i], csv.GetString));
        }

        Assert.Equal(3, rows.Count);
        Assert.Equal(total, rows.Sum(row => decimal.Parse(row["total_cost_usd"], CultureInfo.InvariantCulture)));
        Assert.All(rows, row => Assert.Equal("checkout", row["api_key_name"]));
        Assert.Equal(3018, rows.Sum(row => int.Parse(row["input_tokens"], CultureInfo.InvariantCulture)));
        Assert.Equal(1503, rows.Sum(row => int.Parse(row["output_tokens"], CultureInfo.InvariantCulture)));
    }

    private void AssertAudit()
    {
        var types = Read("audit.json")["items"]!.AsArray().Select(e => (string)e!["type"]!).ToList();
        Assert.Equal(5, types.Count(type => type == "GATEWAY_REQUEST"));
        Assert.Single(types, "TENANT_CREATED");
        Assert.Single(types, "API_KEY_CREATED");
        Assert.Equal(2, types.Count(type => type == "CHARGEBACK_GENERATED"));
    }

    private JsonNode Read(string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(_out, file)))!;

    private static decimal Usd(JsonNode? amount) =>
        decimal.Parse(amount!.ToJsonString().Trim('"'), NumberStyles.Number | NumberStyles.AllowExponent, CultureInfo.InvariantCulture);
}

using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CsvHelper;
using UglyToad.PdfPig;
using Xunit;

namespace Dvara.FunctionalTests.Chargeback;

/// <summary>The bytes that leave the house: what they say, and that they never change.</summary>
public sealed class StatementFilesTests(StatementFilesTests.Node shared) : IClassFixture<StatementFilesTests.Node>
{
    private readonly ChargebackNode _node = shared.InMay;

    [Theory]
    [InlineData("pdf", "application/pdf")]
    [InlineData("csv", "text/csv; charset=utf-8")]
    [InlineData("json", "application/json")]
    public async Task Download_IsAnAttachment_WithTheSameBytesForEver(string format, string contentType)
    {
        var statement = shared.April;
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/v1/admin/chargeback/{statement.GetProperty("id").GetString()}/{format}");
        request.Headers.Add("Accept", "text/html");
        using var answer = await _node.Admin.SendAsync(request, TestContext.Current.CancellationToken);
        var bytes = await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        using var renamed = await _node.Admin.PatchAsync(
            $"/v1/admin/tenants/{statement.GetProperty("tenantId").GetString()}", Json($$"""{"name":"Acme {{format}}"}"""), TestContext.Current.CancellationToken);

        Assert.True(renamed.IsSuccessStatusCode);
        Assert.Equal(contentType, answer.Content.Headers.ContentType!.ToString());
        Assert.Equal($"attachment; filename=\"DV-2026-04-0001.{format}\"", answer.Content.Headers.ContentDisposition!.ToString());
        Assert.Equal(bytes, await _node.DownloadAsync(statement, format));
        if (format == "pdf")
        {
            Assert.Equal(statement.GetProperty("sha256").GetString(), Convert.ToHexStringLower(SHA256.HashData(bytes)));
        }
    }

    [Theory]
    [InlineData("=HYPERLINK(\"http://evil\",\"x\")")]
    [InlineData("+1+1")]
    [InlineData("-2")]
    [InlineData("@SUM(A1)")]
    [InlineData("\uFF1D1+1")]
    [InlineData("two \"quoted\", and a comma")]
    public async Task Csv_NameThatASpreadsheetWouldRun_IsText_AndFiguresStayFigures(string name)
    {
        using var tenant = await _node.TenantAsync(name, key: name);
        await ChargebackNode.CallAsync(tenant);
        var statement = await _node.OrderAsync(new { tenantId = tenant.Id, period = "2026-05" });

        var csv = await _node.DownloadAsync(statement, "csv");
        Assert.Equal((byte)'s', csv[0]);
        Assert.EndsWith("\r\n", Encoding.UTF8.GetString(csv), StringComparison.Ordinal);
        using var reader = CsvReader.FromText(Encoding.UTF8.GetString(csv));
        Assert.True(reader.Read());
        foreach (var column in (string[])["tenant_name", "api_key_name"])
        {
            var cell = reader.GetString(Array.IndexOf([.. reader.Headers], column));
            Assert.Equal(name, cell.TrimStart('\''));
            Assert.Equal("=+-@\uFF1D".Contains(name[0], StringComparison.Ordinal), cell[0] == '\'');
        }

        Assert.Equal("0.0075", reader.GetString(Array.IndexOf([.. reader.Headers], "total_cost_usd")));
        Assert.False(reader.Read());
    }

    [Fact]
    public async Task Csv_SmallestAmount_IsAPlainDecimal()
    {
        using var tenant = await _node.TenantAsync();
        // 1 token at 0.02 USD per million.
        await ChargebackNode.CallAsync(tenant, input: 1, output: 0, model: "mock/gpt-4o-mini");
        var statement = await _node.OrderAsync(new { tenantId = tenant.Id, period = "2026-05" });

        Assert.Contains(",0.00000015,0,0.00000015,0.00000015,", Encoding.UTF8.GetString(await _node.DownloadAsync(statement, "csv")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("株式会社アクメ")]
    [InlineData("Acme 🚀 Rockets")]
    [InlineData("\u202Egnp.evil\u202C")]
    [InlineData("חברת אקמה")]
    [InlineData("<script>alert(1)</script> & Söhne – Łódź Ω")]
    public async Task Pdf_OfAnyName_CanBeRead_AndNamesTheTenantByItsId(string name)
    {
        using var tenant = await _node.TenantAsync(name, key: name);
        await ChargebackNode.CallAsync(tenant, tags: new() { ["project"] = name });
        var statement = await _node.OrderAsync(new { tenantId = tenant.Id, period = "2026-05" });

        var text = TextOf(await _node.DownloadAsync(statement, "pdf"));

        Assert.Contains(tenant.Id, text, StringComparison.Ordinal);
        Assert.Contains("0.0075", text, StringComparison.Ordinal);
        Assert.DoesNotContain('\u202E', text);
        if (name.All(c => c < '\u0400' && c != '\u202E'))
        {
            Assert.Contains(name.Replace(" ", "", StringComparison.Ordinal), text.Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Pdf_WithHundredsOfKeysAndTags_HasAllOfThem_AndNumbersItsPages()
    {
        using var tenant = await _node.TenantAsync();
        for (var i = 0; i < 150; i++)
        {
            await ChargebackNode.CallAsync(tenant, input: i + 1, tags: new() { ["customer"] = $"customer-{i:D3}" });
        }

        var statement = await _node.OrderAsync(new { tenantId = tenant.Id, period = "2026-05" });

        using var pdf = PdfDocument.Open(await _node.DownloadAsync(statement, "pdf"));
        var pages = pdf.GetPages().Select(page => string.Join(' ', page.GetWords())).ToList();
        Assert.True(pages.Count > 2);
        Assert.All(pages.Index(), page => Assert.Contains($"{page.Index + 1} of {pages.Count}", page.Item, StringComparison.Ordinal));
        Assert.All(Enumerable.Range(0, 150), i => Assert.Contains(pages, page => page.Contains($"customer-{i:D3}", StringComparison.Ordinal)));
        Assert.All(pdf.GetPages(), page => Assert.Equal((595, 842), ((int)Math.Round(page.Width), (int)Math.Round(page.Height))));
    }

    [Fact]
    public async Task Pdf_SaysWhatIsEstimatedAndUnpriced()
    {
        using var tenant = await _node.TenantAsync();
        await ChargebackNode.CallAsync(tenant, model: "mock/unknown-model");
        var statement = await _node.OrderAsync(new { tenantId = tenant.Id, period = "2026-05" });

        Assert.Equal(1, statement.GetProperty("unpricedRequests").GetInt64());
        Assert.Contains("unpriced", TextOf(await _node.DownloadAsync(statement, "pdf")), StringComparison.OrdinalIgnoreCase);
    }

    private static string TextOf(byte[] bytes)
    {
        using var pdf = PdfDocument.Open(bytes);
        return string.Join(' ', pdf.GetPages().SelectMany(page => page.GetWords()).Select(word => word.Text));
    }

    private static StringContent Json(string json) => new(json, Encoding.UTF8, "application/merge-patch+json");

    /// <summary>It stands in May, the month of all statements but the final one, April's.</summary>
    public sealed class Node : IAsyncLifetime
    {
        internal ChargebackNode InMay { get; private set; } = null!;

        internal JsonElement April { get; private set; }

        public async ValueTask InitializeAsync()
        {
            InMay = await ChargebackNode.StartAsync();
            using var acme = await InMay.TenantAsync();
            await ChargebackNode.CallAsync(acme);
            InMay.GoTo(ChargebackNode.May);
            April = await InMay.OrderAsync(new { tenantId = acme.Id, period = "2026-04" });
        }

        public ValueTask DisposeAsync() => InMay.DisposeAsync();
    }
}

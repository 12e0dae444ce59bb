using CsCheck;
using Dvara.Domain.Statements;
using Dvara.Domain.Time;
using Dvara.Server.Chargeback.Pdf;
using UglyToad.PdfPig;
using UglyToad.PdfPig.Content;
using Xunit;

namespace Dvara.UnitTests.Chargeback;

/// <summary>The document as a reader gets it: nothing beyond the margins, every name readable, the same bytes each time.</summary>
public sealed class PdfReportTests : IDisposable
{
    private const double Left = 47.5;
    private const double Right = 595.28 - 47.5;

    private static readonly DateTimeOffset April = new(2026, 4, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly Gen<string> Names = Gen.OneOf(
        "Acme Ltd", "株式会社アクメ", "아크메 주식회사", "شركة أكمي المحدودة", "חברת אקמי בע\"מ", "एक्मे लिमिटेड", "บริษัทแอคมี", "Ацме ООО", "Ακμή ΑΕ",
        "شركة Acme رقم 42 (فرع)", "Acme 株式会社 123", "Ünïcödé ŁTD", "A\u0301cme", "🚀 Rockets", "\u202Eevil", new string('W', 200), "word " + new string('i', 400));

    private readonly PdfReportRenderer _renderer = new();

    public void Dispose() => _renderer.Dispose();

    [Fact]
    public void EveryLetter_StandsBetweenTheMargins() =>
        Gen.Select(Names, Names, Names, Gen.Long[0, 9_000_000_000_000_000_000], Gen.Int[0, 60], Gen.Int[0, 2], Gen.Bool).Sample(
            (tenant, key, model, pico, lines, window, final) =>
            {
                var bytes = _renderer.Render(StatementOf(tenant, key, model, pico, lines, WindowOf(window), final));
                Assert.Equal(bytes, _renderer.Render(StatementOf(tenant, key, model, pico, lines, WindowOf(window), final)));
                using var document = PdfDocument.Open(bytes);
                foreach (var line in document.GetPages().SelectMany(page => page.Letters).Where(letter => letter.Value.Trim().Length > 0).GroupBy(letter => letter.StartBaseLine.Y))
                {
                    var (first, last) = (line.Min(letter => letter.StartBaseLine.X), line.Max(letter => letter.EndBaseLine.X));
                    Assert.True(first >= Left && last <= Right, $"{first} to {last}: {string.Concat(line.Select(letter => letter.Value))}");
                }
            },
            iter: 25);

    [Theory]
    [InlineData("株式会社アクメ")]
    [InlineData("아크메 주식회사")]
    [InlineData("Ацме ООО")]
    [InlineData("Acme 株式会社 123")]
    public void Name_InAnyScript_CanBeReadBack(string name)
    {
        using var document = PdfDocument.Open(_renderer.Render(StatementOf(name, "key", "gpt-4o", 1, 1, WindowOf(0), final: true)));

        Assert.Contains(name.Replace(" ", "", StringComparison.Ordinal), TextOf(document.GetPage(1)), StringComparison.Ordinal);
        Assert.DoesNotContain("cannot be printed", Words(document), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("شركة أكمي المحدودة")]
    [InlineData("חברת אקמי")]
    [InlineData("एक्मे लिमिटेड")]
    [InlineData("บริษัทแอคมี")]
    public void Name_ThatIsShaped_HasAGlyphForEverything(string name)
    {
        using var document = PdfDocument.Open(_renderer.Render(StatementOf(name, "key", "gpt-4o", 1, 1, WindowOf(0), final: true)));

        Assert.DoesNotContain("cannot be printed", Words(document), StringComparison.Ordinal);
        Assert.Contains(document.GetPage(1).Letters, letter => letter.FontName!.Contains("Noto", StringComparison.Ordinal));
    }

    [Fact]
    public void Period_OfWholeDays_StandsOnOneLine()
    {
        foreach (var month in Enumerable.Range(0, 12).Select(month => TimeWindow.MonthOf(April.AddMonths(month))))
        {
            using var document = PdfDocument.Open(_renderer.Render(StatementOf("Acme", "key", "gpt-4o", 1, 1, month, final: true)));

            Assert.Contains(LinesOf(document), line => line.Contains(PdfFigures.Period(month).Replace(" ", "", StringComparison.Ordinal), StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Period_ThatHoldsNothing_SaysItsInstantTwice() =>
        Assert.Equal("1 April 2026, 00:00 \u2013\n1 April 2026, 00:00", PdfFigures.Period(new(April, April)));

    [Fact]
    public void Name_AsLongAsOneMayBe_IsWhole_AndTheFooterKeepsTheId()
    {
        var name = string.Concat(Enumerable.Range(0, 40).Select(i => $"Wag{i:D2}"));
        var statement = StatementOf(name, "key", "gpt-4o", 1, 1, WindowOf(0), final: true);
        using var document = PdfDocument.Open(_renderer.Render(statement));

        Assert.Equal(200, name.Length);
        Assert.Contains(name, TextOf(document.GetPage(1)), StringComparison.Ordinal);
        Assert.StartsWith($"DV-2026-04-0001\u00B7{statement.TenantId}\u00B7Wag00", LinesOf(document)[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void Models_ThatDifferInTheLastCharacter_LookDifferent()
    {
        var model = new string('W', 250);
        using var document = PdfDocument.Open(_renderer.Render(StatementOf("Acme", "key", model, 1, 60, WindowOf(0), final: true)));

        var text = string.Concat(document.GetPages().Select(TextOf));
        Assert.All(Enumerable.Range(0, 60), i => Assert.Contains($"W-{i}", text, StringComparison.Ordinal));
        Assert.DoesNotContain("W\u2026", text.Split("Notes")[0].Split("Bytag")[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Character_ThatNoFaceHas_IsABoxAndIsSaid()
    {
        using var document = PdfDocument.Open(_renderer.Render(StatementOf("🚀 Rockets", "key", "gpt-4o", 1, 1, WindowOf(0), final: true)));

        Assert.Contains("\u25A1Rockets", TextOf(document.GetPage(1)), StringComparison.Ordinal);
        Assert.Contains("cannot be printed", Words(document), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, "usage for 1 request;", "Unpriced: 1 request used", "of 1 request is unknown")]
    [InlineData(1234, "usage for 1,234 requests;", "Unpriced: 1,234 requests used", "of 1,234 requests is unknown")]
    public void Notes_CountInWords(long count, params string[] phrases)
    {
        using var document = PdfDocument.Open(_renderer.Render(StatementOf("Acme", "key", "gpt-4o", 1, 1, WindowOf(0), final: true, notable: count)));

        var text = Words(document);
        Assert.All(phrases, phrase => Assert.Contains(phrase, text, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("abc", "abc")]
    [InlineData("אב", "אב")]
    [InlineData("אב 12 גד", "גד| |12| |אב")]
    [InlineData("אב ab גד", "גד| |ab| |אב")]
    [InlineData("ab אב cd", "ab |אב| cd")]
    [InlineData("ab אב גד cd", "ab |גד| |אב| cd")]
    [InlineData("אב (גד) הו", "הו| (|גד|) |אב")]
    public void Runs_StandInTheOrderOfReading(string text, string expected)
    {
        using var latin = new PdfFace("Inter-Regular.ttf");
        using var hebrew = new PdfFace("NotoSansHebrew-Regular.ttf", isShaped: true);

        var runs = PdfRuns.Of(text, rune => latin.Has(rune) ? latin : hebrew);

        Assert.Equal(expected.Replace("|", "", StringComparison.Ordinal), string.Concat(runs.Select(run => run.Text)));
    }

    private static string TextOf(Page page) => string.Concat(page.Letters.Select(letter => letter.Value)).Replace(" ", "", StringComparison.Ordinal);

    private static List<string> LinesOf(PdfDocument document) => [.. document.GetPage(1).Letters.GroupBy(letter => Math.Round(letter.StartBaseLine.Y, 1))
        .OrderByDescending(line => line.Key).Select(line => string.Concat(line.OrderBy(letter => letter.StartBaseLine.X).Select(letter => letter.Value)).Replace(" ", "", StringComparison.Ordinal))];

    private static string Words(PdfDocument document) => string.Join(' ', document.GetPages().SelectMany(page => page.GetWords()).Select(word => word.Text));

    private static TimeWindow WindowOf(int kind) => kind switch
    {
        0 => TimeWindow.MonthOf(April),
        1 => new(April.AddMonths(5).AddMilliseconds(1), April.AddYears(10).AddMonths(5).AddHours(13).AddMilliseconds(999)),
        _ => new(April, April.AddDays(1)),
    };

    private static Statement StatementOf(
        string tenant, string key, string model, long pico, int lines, TimeWindow window, bool final, long notable = 0) => new()
    {
        Id = new(Guid.Parse("019dc3a0-0000-7000-8000-000000000001")),
        Number = final ? "DV-2026-04-0001" : null,
        TenantId = new(Guid.Parse("019dc3a0-0000-7000-8000-000000000002")),
        TenantName = tenant,
        Window = window,
        Status = final ? StatementStatus.Final : StatementStatus.Provisional,
        Trigger = StatementTrigger.Manual,
        CreatedAt = April.AddMonths(1),
        Contents = new(
            [.. Enumerable.Range(0, lines).Select(i => new StatementLine("openai", $"{model}-{i}", new(new Guid(i, 0, 0, new byte[8])), key, new()
            {
                Requests = pico % 1_000_000,
                InputTokens = pico % 1_000_000_000,
                OutputTokens = pico % 1_000_000,
                CachedInputTokens = 7,
                InputCost = new(pico),
                OutputCost = new(pico / 3),
                Estimated = notable,
                Unpriced = notable,
                Unresolved = notable,
            }))],
            [new(model, [new(tenant, TagGroupKind.Value, default)])],
            []),
    };
}

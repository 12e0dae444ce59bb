using Dvara.Domain.Statements;
using SkiaSharp;

namespace Dvara.Server.Chargeback.Pdf;

/// <summary>One statement on its pages, from the top down.</summary>
internal sealed class PdfSheet
{
    private const float FigureWidth = 58;
    private const float CostWidth = 118;
    // A name has at most 200 characters, and a line holds 20 of the widest.
    private const int NameLinesMax = 12;
    private const float TextWidth = PdfPages.Width - (3 * FigureWidth) - CostWidth;

    private readonly PdfType _type;
    private readonly PdfPages _pages;
    private readonly Statement _statement;
    private readonly StatementContents _contents;
    private bool _incomplete;

    public PdfSheet(PdfType type, Statement statement)
    {
        _type = type;
        _pages = new PdfPages(type);
        _statement = statement;
        _contents = statement.Contents;
    }

    public byte[] ToBytes(SKDocumentPdfMetadata metadata) =>
        _pages.ToBytes(metadata, $"{_statement.FileName}  \u00B7  {_statement.TenantId}  \u00B7  {Clean(_statement.TenantName)}");

    public void DrawHeader()
    {
        var top = _pages.Y;
        _pages.Text("Usage statement", PdfPages.Left, top + 15, PdfStyle.Title);
        _pages.Text("Dvara", PdfPages.Right, top + 15, PdfStyle.Brand, PdfAlign.Right);
        _pages.Y = top + 30;
        _pages.Rule(_pages.Y, PdfStyle.Accent, 1.2f);
        _pages.Y += 20;

        DrawParties();
        if (_statement.Status != StatementStatus.Final)
        {
            DrawProvisional();
        }
    }

    public void DrawTotal()
    {
        const float Height = 74;
        var total = _contents.Total;
        var top = _pages.Y;
        _pages.Box(new SKRect(PdfPages.Left, top, PdfPages.Right, top + Height), PdfStyle.Panel, 4);
        _pages.Text("Total", PdfPages.Left + 14, top + 20, PdfStyle.Label);
        var width = _pages.Text(PdfFigures.Rounded(total.TotalCost), PdfPages.Left + 14, top + 46, PdfStyle.Sum);
        _pages.Text("USD", PdfPages.Left + 14 + width + 6, top + 46, PdfStyle.Name);
        _pages.Text($"exactly {PdfFigures.Exact(total.TotalCost)} USD", PdfPages.Left + 14, top + 62, PdfStyle.Label);

        var x = PdfPages.Right - 14;
        foreach (var (label, value) in new[]
        {
            ("Output tokens", PdfFigures.Count(total.OutputTokens)),
            ("Input tokens", PdfFigures.Count(total.InputTokens)),
            ("Requests", PdfFigures.Count(total.Requests)),
        })
        {
            _pages.Text(label, x, top + 34, PdfStyle.Label, PdfAlign.Right);
            _pages.Text(value, x, top + 48, PdfStyle.BodyStrong, PdfAlign.Right);
            x -= Math.Max(_type.Width(label, PdfStyle.Label), _type.Width(value, PdfStyle.BodyStrong)) + 22;
        }

        _pages.Y = top + Height + 24;
    }

    public void DrawTables()
    {
        var byModel = _contents.Lines.GroupBy(line => (line.Provider, line.Model)).Select(group => ModelRow(group.Key, Sum(group)));
        Draw("By provider and model", [new("Provider", 86), new("Model", TextWidth - 86)], byModel, [new("Total"), new("")]);

        var byKey = _contents.Lines.GroupBy(line => (line.ApiKeyId, line.ApiKeyName)).Select(group =>
            Row([new(Clean(group.Key.ApiKeyName), group.Key.ApiKeyId.ToString())], Sum(group)));
        Draw("By API key", [new("API key", TextWidth)], byKey, [new("Total")]);

        foreach (var table in _contents.Tags)
        {
            Draw($"By tag: {Clean(table.Key)}", [new("Value", TextWidth)], table.Groups.Select(TagRow), [new("Total")]);
        }

        if (_contents.Adjustments.Count > 0)
        {
            Draw(
                "Adjustments of earlier months, contained above",
                [new("Month", 86), new("What", TextWidth - 86)],
                _contents.Adjustments.Select(AdjustmentRow),
                [new("Total"), new("")],
                _contents.Adjusted);
        }
    }

    public void DrawNotes()
    {
        var notes = Notes().ToList();
        _pages.Reserve(44);
        _pages.Text("Notes", PdfPages.Left, _pages.Y + 9, PdfStyle.Heading);
        _pages.Y += 22;
        foreach (var note in notes)
        {
            DrawNote(note);
        }
    }

    private void DrawParties()
    {
        // The longest two dates stand on one line.
        const float Column = 256;
        const float ValueIndent = 62;
        var top = _pages.Y;
        var left = top;
        _pages.Text("Customer", PdfPages.Left, left + 7, PdfStyle.Label);
        left += 12;
        foreach (var line in _type.Wrap(Clean(_statement.TenantName), PdfStyle.Name, Column - 24, NameLinesMax))
        {
            _pages.Text(line, PdfPages.Left, left + 11, PdfStyle.Name);
            left += PdfStyle.Name.Leading;
        }

        _pages.Text(_statement.TenantId.ToString(), PdfPages.Left, left + 10, PdfStyle.Label);
        left += 14;

        var right = top;
        foreach (var (label, value) in new[]
        {
            ("Number", _statement.Number ?? "none (provisional)"),
            ("Period (UTC)", PdfFigures.Period(_statement.Window)),
            ("Made on", PdfFigures.Date(_statement.CreatedAt)),
            ("Currency", "USD"),
        })
        {
            _pages.Text(label, PdfPages.Left + Column, right + 8, PdfStyle.Label);
            foreach (var line in value.Split('\n').SelectMany(part => _type.Wrap(part, PdfStyle.Body, PdfPages.Width - Column - ValueIndent, linesMax: 2)))
            {
                _pages.Text(line, PdfPages.Left + Column + ValueIndent, right + 8, PdfStyle.Body);
                right += 14;
            }
        }

        _pages.Y = Math.Max(left, right) + 16;
    }

    private void DrawProvisional()
    {
        const float Height = 26;
        _pages.Box(new SKRect(PdfPages.Left, _pages.Y, PdfPages.Right, _pages.Y + Height), PdfStyle.WarningGround, 4);
        var width = _pages.Text("PROVISIONAL", PdfPages.Left + 12, _pages.Y + 16.5f, PdfStyle.Badge);
        _pages.Text(
            "The period as it stood when this was made. It has no number and closes nothing: not for an invoice.",
            PdfPages.Left + 12 + width + 10, _pages.Y + 16.3f, PdfStyle.Label);
        _pages.Y += Height + 14;
    }

    private void Draw(
        string heading, IReadOnlyList<PdfColumn> texts, IEnumerable<IReadOnlyList<PdfCell>> rows, IReadOnlyList<PdfCell> total, Tally? sum = null)
    {
        IReadOnlyList<PdfColumn> columns =
        [
            .. texts,
            new("Requests", FigureWidth, Figures: true),
            new("Input tokens", FigureWidth, Figures: true),
            new("Output tokens", FigureWidth, Figures: true),
            new("Cost (USD)", CostWidth, Figures: true),
        ];
        new PdfTable(_type, _pages, heading, columns).Draw([.. rows], Row(total, sum ?? _contents.Total));
    }

    private IReadOnlyList<PdfCell> ModelRow((string Provider, string Model) key, Tally tally)
    {
        List<string> parts = [];
        AddPart(tally.CachedInputTokens, "cached");
        AddPart(tally.CacheWriteTokens, "written to cache");
        AddPart(tally.ReasoningTokens, "reasoning");
        return Row([new(Clean(key.Provider)), new(Clean(key.Model), parts.Count == 0 ? null : string.Join(", ", parts))], tally);

        void AddPart(long tokens, string name)
        {
            if (tokens != 0)
            {
                parts.Add($"{PdfFigures.Count(tokens)} {name}");
            }
        }
    }

    private IReadOnlyList<PdfCell> TagRow(TagGroup group) => Row([new(Clean(group.Value))], group.Tally);

    private IReadOnlyList<PdfCell> AdjustmentRow(Adjustment adjustment) => Row(
        [
            new(PdfFigures.Month(adjustment.UsageMonth)),
            new(Clean($"{adjustment.Provider} {adjustment.Model}"), $"{KindOf(adjustment.Kind)}, {Clean(adjustment.ApiKeyName)}"),
        ],
        adjustment.Tally);

    private static string KindOf(AdjustmentKind kind) => kind switch
    {
        AdjustmentKind.Late => "came after the month was closed",
        AdjustmentKind.Reprice => "priced again",
        AdjustmentKind.Resolution => "an unresolved call was resolved",
        _ => "corrected",
    };

    private static IReadOnlyList<PdfCell> Row(IReadOnlyList<PdfCell> texts, Tally tally) =>
    [
        .. texts,
        new(PdfFigures.Count(tally.Requests)),
        new(PdfFigures.Count(tally.InputTokens)),
        new(PdfFigures.Count(tally.OutputTokens)),
        new(PdfFigures.Exact(tally.TotalCost)),
    ];

    private IEnumerable<string> Notes()
    {
        var total = _contents.Total;
        yield return "Amounts are exact to 12 decimals; only the total at the top is rounded, half away from zero. Every table adds up to it. "
            + "Input tokens contain cached ones, output tokens contain reasoning.";
        if (_contents.Lines.Count == 0)
        {
            yield return "There was no billable usage in this period.";
        }

        if (total.Estimated != 0)
        {
            yield return $"Estimated: the provider reported no usage for {PdfFigures.Requests(total.Estimated)}; the tokens were counted by the gateway and are contained above.";
        }

        if (total.Unpriced != 0)
        {
            yield return $"Unpriced: {PdfFigures.Requests(total.Unpriced)} used a model without a price. The tokens are contained above, the cost is not.";
        }

        if (total.Unresolved != 0)
        {
            yield return $"Unresolved: the outcome of {PdfFigures.Requests(total.Unresolved)} is unknown. They are contained above, their cost is not; it comes to at least "
                + $"{PdfFigures.Exact(total.UnresolvedLowerBound)} USD. What becomes known later is billed in the month that is open then.";
        }

        if (_incomplete)
        {
            yield return "Characters that cannot be printed here are shown as \u25A1 or left out; the CSV and JSON files have the names exactly.";
        }
    }

    private void DrawNote(string note)
    {
        foreach (var line in _type.Wrap(note, PdfStyle.Small, PdfPages.Width, linesMax: 5))
        {
            _pages.Reserve(PdfStyle.Small.Leading);
            _pages.Text(line, PdfPages.Left, _pages.Y + PdfStyle.Small.Size, PdfStyle.Small);
            _pages.Y += PdfStyle.Small.Leading;
        }

        _pages.Y += 4;
    }

    private string Clean(string text)
    {
        var (clean, incomplete) = _type.Clean(text);
        _incomplete |= incomplete;
        return clean;
    }

    private static Tally Sum(IEnumerable<StatementLine> lines) => Tally.Sum(lines.Select(line => line.Tally));
}

namespace Dvara.Server.Chargeback.Pdf;

/// <param name="Title">Its head.</param>
/// <param name="Width">Points.</param>
/// <param name="Figures">Right-aligned.</param>
internal sealed record PdfColumn(string Title, float Width, bool Figures = false);

/// <param name="Text">Clean.</param>
/// <param name="Note">Small lines below it, or null.</param>
internal sealed record PdfCell(string Text, string? Note = null);

/// <summary>A table with its heading, whose column heads come again on every page that it reaches.</summary>
internal sealed class PdfTable(PdfType type, PdfPages pages, string heading, IReadOnlyList<PdfColumn> columns)
{
    private const float Gap = 8;
    private const float PaddingY = 4.2f;

    // Never reached by what a model, a key or a tag may be called: two that differ at the end alone must not look alike.
    private const int TextLinesMax = 24;

    /// <summary>Three figures of tokens, however large.</summary>
    private const int NoteLinesMax = 3;
    private const float HeadingHeight = 20;
    private const float ColumnHeadHeight = 17;

    public void Draw(IReadOnlyList<IReadOnlyList<PdfCell>> rows, IReadOnlyList<PdfCell>? total)
    {
        // A heading alone at the foot of a page would belong to nothing.
        pages.Reserve(HeadingHeight + ColumnHeadHeight + (rows.Count > 0 ? HeightOf(rows[0], PdfStyle.Cell) : 0) + 22);
        DrawHeads(heading);
        for (var i = 0; i < rows.Count; i++)
        {
            var height = HeightOf(rows[i], PdfStyle.Cell);
            // The last row takes the total along, which alone on a page would be the total of nothing.
            BreakBefore(i == rows.Count - 1 && total is not null ? height + HeightOf(total, PdfStyle.CellStrong) : height);
            DrawRow(rows[i], PdfStyle.Cell, height);
            pages.Rule(pages.Y, PdfStyle.Rule, 0.4f);
        }

        if (total is not null)
        {
            pages.Rule(pages.Y - 0.2f, PdfStyle.Ink, 0.8f);
            DrawRow(total, PdfStyle.CellStrong, HeightOf(total, PdfStyle.CellStrong));
        }

        pages.Y += 20;
    }

    private void BreakBefore(float height)
    {
        if (pages.Reserve(height))
        {
            DrawHeads(heading + " (continued)");
        }
    }

    private void DrawHeads(string text)
    {
        pages.Text(type.Wrap(text, PdfStyle.Heading, PdfPages.Width, 1)[0], PdfPages.Left, pages.Y + 9, PdfStyle.Heading);
        pages.Y += HeadingHeight;
        var x = PdfPages.Left;
        foreach (var column in columns)
        {
            var (edge, align) = column.Figures ? (x + column.Width, PdfAlign.Right) : (x, PdfAlign.Left);
            pages.Text(column.Title, edge, pages.Y + 6, PdfStyle.ColumnTitle, align);
            x += column.Width;
        }

        pages.Y += ColumnHeadHeight - 5;
        pages.Rule(pages.Y, PdfStyle.Ink, 0.8f);
    }

    private void DrawRow(IReadOnlyList<PdfCell> cells, PdfStyle style, float height)
    {
        var x = PdfPages.Left;
        var baseline = pages.Y + PaddingY + style.Size;
        for (var i = 0; i < columns.Count; i++)
        {
            if (columns[i].Figures)
            {
                DrawFigure(cells[i].Text, x + columns[i].Width, baseline, columns[i].Width - Gap, style);
            }
            else
            {
                DrawText(cells[i], x, baseline, columns[i].Width - Gap, style);
            }

            x += columns[i].Width;
        }

        pages.Y += height;
    }

    private void DrawText(PdfCell cell, float x, float baseline, float width, PdfStyle style)
    {
        foreach (var line in type.Wrap(cell.Text, style, width, TextLinesMax))
        {
            pages.Text(line, x, baseline, style);
            baseline += style.Leading;
        }

        foreach (var line in NoteOf(cell, width))
        {
            pages.Text(line, x, baseline - 1.2f, PdfStyle.CellNote);
            baseline += PdfStyle.CellNote.Leading;
        }
    }

    private IReadOnlyList<string> NoteOf(PdfCell cell, float width) => cell.Note is { } note ? type.Wrap(note, PdfStyle.CellNote, width, NoteLinesMax) : [];

    /// <summary>A figure is never cut: one too wide for its column is set smaller. Zeros that only align are faint.</summary>
    private void DrawFigure(string figure, float right, float baseline, float width, PdfStyle style)
    {
        var natural = type.Width(figure, style);
        if (natural > width)
        {
            style = style with { Size = style.Size * width / natural };
        }

        var significant = figure.Contains('.', StringComparison.Ordinal) ? PdfFigures.SignificantLength(figure) : figure.Length;
        var start = right - type.Width(figure, style);
        var drawn = pages.Text(figure[..significant], start, baseline, style);
        if (significant < figure.Length)
        {
            pages.Text(figure[significant..], start + drawn, baseline, style with { Color = PdfStyle.Faint });
        }
    }

    private float HeightOf(IReadOnlyList<PdfCell> cells, PdfStyle style)
    {
        var height = style.Leading;
        for (var i = 0; i < columns.Count; i++)
        {
            if (!columns[i].Figures)
            {
                var lines = type.Wrap(cells[i].Text, style, columns[i].Width - Gap, TextLinesMax).Count;
                height = Math.Max(height, (lines * style.Leading) + (NoteOf(cells[i], columns[i].Width - Gap).Count * PdfStyle.CellNote.Leading));
            }
        }

        return height + PaddingY + PaddingY - 2;
    }
}

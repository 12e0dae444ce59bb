using SkiaSharp;

namespace Dvara.Server.Chargeback.Pdf;

/// <summary>
/// A4 pages that are filled from top to bottom. What is drawn is noted and drawn for real at the end, when the number of pages is known.
/// </summary>
internal sealed class PdfPages
{
    public const float Left = 48;
    public const float Right = PageWidth - 48;
    public const float Width = Right - Left;

    private const float PageWidth = 595.28f;
    private const float PageHeight = 841.89f;
    private const float Top = 50;
    private const float Bottom = PageHeight - 62;
    private const float FooterBaseline = PageHeight - 36;

    private readonly List<List<Action<SKCanvas>>> _pages = [[]];
    private readonly PdfType _type;

    public PdfPages(PdfType type) => _type = type;

    /// <summary>Where the next thing begins, from the top of the page.</summary>
    public float Y { get; set; } = Top;

    /// <summary>Begins a new page unless this much is left on the current one.</summary>
    /// <returns>True: a new page has begun.</returns>
    public bool Reserve(float height)
    {
        if (Y + height <= Bottom)
        {
            return false;
        }

        _pages.Add([]);
        Y = Top;
        return true;
    }

    /// <summary>Writes a clean text.</summary>
    /// <returns>Its width.</returns>
    public float Text(string text, float x, float baseline, PdfStyle style, PdfAlign align = PdfAlign.Left)
    {
        var width = _type.Width(text, style);
        var start = align == PdfAlign.Right ? x - width : x;
        Draw(canvas => _type.Draw(canvas, text, start, baseline, style));
        return width;
    }

    public void Rule(float y, SKColor color, float thickness = 0.6f) => Box(new SKRect(Left, y, Right, y + thickness), color);

    public void Box(SKRect area, SKColor color, float radius = 0) => Draw(canvas =>
    {
        using var paint = new SKPaint { Color = color, IsAntialias = true };
        canvas.DrawRoundRect(area, radius, radius, paint);
    });

    /// <param name="metadata">Its dates are the document's, never the clock's.</param>
    /// <param name="footer">Stands on every page, left of the page number.</param>
    public byte[] ToBytes(SKDocumentPdfMetadata metadata, string footer)
    {
        using var bytes = new MemoryStream();
        using (var document = SKDocument.CreatePdf(bytes, metadata))
        {
            for (var page = 0; page < _pages.Count; page++)
            {
                var canvas = document.BeginPage(PageWidth, PageHeight);
                _pages[page].ForEach(draw => draw(canvas));
                DrawFooter(canvas, footer, $"Page {page + 1} of {_pages.Count}");
                document.EndPage();
            }

            document.Close();
        }

        return bytes.ToArray();
    }

    private void DrawFooter(SKCanvas canvas, string footer, string pageNumber)
    {
        using var paint = new SKPaint { Color = PdfStyle.Rule };
        canvas.DrawRect(new SKRect(Left, FooterBaseline - 14, Right, FooterBaseline - 13.4f), paint);
        var numberWidth = _type.Width(pageNumber, PdfStyle.Small);
        var line = _type.Wrap(footer, PdfStyle.Small, Width - numberWidth - 16, linesMax: 1)[0];
        _type.Draw(canvas, line, Left, FooterBaseline, PdfStyle.Small);
        _type.Draw(canvas, pageNumber, Right - numberWidth, FooterBaseline, PdfStyle.Small);
    }

    private void Draw(Action<SKCanvas> draw) => _pages[^1].Add(draw);
}

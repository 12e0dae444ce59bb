using System.Globalization;
using System.Text;
using SkiaSharp;

namespace Dvara.Server.Chargeback.Pdf;

/// <summary>
/// The faces, and what fits where. Text comes from tenants, so nothing of it is trusted: what no face has is shown as a box, and what would
/// steer the reader's eye (direction marks, line breaks, zero-width characters) has no effect.
/// </summary>
internal sealed class PdfType : IDisposable
{
    private const char Box = '\u25A1';
    private const char Ellipsis = '\u2026';
    private const int LineCharsMax = 400;

    private readonly PdfFace _regular = new("Inter-Regular.ttf");
    private readonly PdfFace _strong = new("Inter-SemiBold.ttf");

    // Read only when a text needs them; the first that has a character is taken.
    private readonly PdfFace[] _others =
    [
        new("NotoSansArabic-Regular.ttf", isShaped: true),
        new("NotoSansHebrew-Regular.ttf", isShaped: true),
        new("NotoSansDevanagari-Regular.ttf", isShaped: true),
        new("NotoSansThai-Regular.ttf", isShaped: true),
        new("DroidSansFallback.ttf"),
    ];

    public float Width(string text, PdfStyle style) => Runs(text, style).Sum(run => run.Face.Width(run.Text, style.Size));

    /// <summary>Draws a clean text on one line.</summary>
    public void Draw(SKCanvas canvas, string text, float x, float baseline, PdfStyle style)
    {
        using var paint = new SKPaint { Color = style.Color, IsAntialias = true };
        foreach (var run in Runs(text, style))
        {
            run.Face.Draw(canvas, run.Text, x, baseline, style.Size, paint);
            x += run.Face.Width(run.Text, style.Size);
        }
    }

    /// <summary>The same text in characters that some face has, on one line.</summary>
    /// <returns>The text, and whether a character is missing in it.</returns>
    public (string Text, bool Incomplete) Clean(string text)
    {
        var clean = new StringBuilder(text.Length);
        var incomplete = false;
        foreach (var rune in text.EnumerateRunes())
        {
            switch (Rune.GetUnicodeCategory(rune))
            {
                case UnicodeCategory.Control or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator:
                    clean.Append(' ');
                    break;
                case UnicodeCategory.Format:
                case UnicodeCategory.NonSpacingMark when !IsKnown(rune.Value):
                    incomplete = true;
                    break;
                default:
                    var known = IsKnown(rune.Value);
                    incomplete |= !known;
                    clean.Append(known ? rune.ToString() : Box);
                    break;
            }
        }

        var result = clean.ToString().Trim();
        return (result.Length == 0 ? "(blank)" : result, incomplete);
    }

    /// <summary>Breaks a clean text into lines: at a space or after punctuation where there is any, else anywhere.</summary>
    /// <param name="text">What is shown.</param>
    /// <param name="style">How.</param>
    /// <param name="width">Points that a line has.</param>
    /// <param name="linesMax">The last line ends with an ellipsis when the text is longer.</param>
    public IReadOnlyList<string> Wrap(string text, PdfStyle style, float width, int linesMax)
    {
        var lines = new List<string>();
        var rest = text;
        while (rest.Length > 0)
        {
            var fitting = Fitting(rest, style, width);
            if (fitting == rest.Length)
            {
                lines.Add(rest);
                break;
            }

            if (lines.Count == linesMax - 1)
            {
                lines.Add(rest[..Fitting(rest, style, width - Width(Ellipsis.ToString(), style))].TrimEnd() + Ellipsis);
                break;
            }

            var end = BreakBefore(rest, fitting);
            lines.Add(rest[..end].TrimEnd());
            rest = rest[end..].TrimStart();
        }

        return lines;
    }

    public void Dispose()
    {
        _regular.Dispose();
        _strong.Dispose();
        foreach (var face in _others)
        {
            face.Dispose();
        }
    }

    private IReadOnlyList<PdfRun> Runs(string text, PdfStyle style)
    {
        var own = style.Strong ? _strong : _regular;
        return Ascii.IsValid(text) ? [new(text, own)] : PdfRuns.Of(text, rune => own.Has(rune) ? own : Array.Find(_others, face => face.Has(rune)) ?? own);
    }

    private bool IsKnown(int rune) => _regular.Has(rune) || Array.Exists(_others, face => face.Has(rune));

    /// <summary>How many characters fit into the width; never part of one that is written with several, and at least one so that wrapping ends.</summary>
    private int Fitting(string text, PdfStyle style, float width)
    {
        if (text.Length <= LineCharsMax && Width(text, style) <= width)
        {
            return text.Length;
        }

        // A name may be thousands of characters long, a line never is.
        var offered = text[..Math.Min(text.Length, LineCharsMax)];
        int[] ends = [.. StringInfo.ParseCombiningCharacters(offered).Skip(1), offered.Length];
        var (fits, tooFar) = (0, ends.Length);
        while (tooFar - fits > 1)
        {
            var middle = (fits + tooFar) / 2;
            (fits, tooFar) = Width(offered[..ends[middle]], style) <= width ? (middle, tooFar) : (fits, middle);
        }

        return ends[fits];
    }

    private static int BreakBefore(string text, int fitting)
    {
        for (var i = fitting; i > fitting / 2; i--)
        {
            if (text[i] == ' ' || (i < fitting + 1 && text[i - 1] is ' ' or '-' or '/' or '_' or ':' or ','))
            {
                return i;
            }
        }

        return fitting;
    }
}

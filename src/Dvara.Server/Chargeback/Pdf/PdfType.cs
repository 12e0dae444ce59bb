using System.Globalization;
using System.Reflection;
using System.Text;
using SkiaSharp;

namespace Dvara.Server.Chargeback.Pdf;

/// <summary>
/// The two cuts of the face, and what fits where. The files are part of the program: a machine's fonts would give other bytes.
/// Text comes from tenants, so nothing of it is trusted: what the face does not have is shown as a box, and what would steer the
/// reader's eye (direction marks, line breaks, zero-width characters) has no effect.
/// </summary>
internal sealed class PdfType : IDisposable
{
    private const char Box = '\u25A1';
    private const char Ellipsis = '\u2026';

    private readonly SKTypeface _regular = Load("Inter-Regular.ttf");
    private readonly SKTypeface _strong = Load("Inter-SemiBold.ttf");
    private readonly SKFont _glyphs;

    public PdfType() => _glyphs = new SKFont(_regular);

    public SKFont Font(PdfStyle style) => new(style.Strong ? _strong : _regular, style.Size)
    {
        // Positions as the face says, whatever the resolution of a screen.
        Subpixel = true,
        LinearMetrics = true,
        Hinting = SKFontHinting.None,
    };

    public float Width(string text, PdfStyle style)
    {
        using var font = Font(style);
        return font.MeasureText(text);
    }

    /// <summary>The same text in characters that the face has, on one line.</summary>
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
                case UnicodeCategory.NonSpacingMark when !_glyphs.ContainsGlyph(rune.Value):
                    incomplete = true;
                    break;
                default:
                    var known = _glyphs.ContainsGlyph(rune.Value);
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
        using var font = Font(style);
        var lines = new List<string>();
        var rest = text;
        while (rest.Length > 0)
        {
            var fitting = Fitting(font, rest, width);
            if (fitting == rest.Length)
            {
                lines.Add(rest);
                break;
            }

            if (lines.Count == linesMax - 1)
            {
                lines.Add(rest[..Fitting(font, rest, width - font.MeasureText(Ellipsis.ToString()))].TrimEnd() + Ellipsis);
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
        _glyphs.Dispose();
        _regular.Dispose();
        _strong.Dispose();
    }

    /// <summary>How many characters fit into the width; never half a surrogate pair, and at least one so that wrapping ends.</summary>
    private static int Fitting(SKFont font, string text, float width)
    {
        // A name may be thousands of characters long, a line never is.
        var end = 0;
        var x = 0f;
        var offered = text.AsSpan(0, Math.Min(text.Length, 400));
        var advances = font.GetGlyphWidths(offered);
        foreach (var advance in advances)
        {
            if ((x += advance) > width && end > 0)
            {
                break;
            }

            end += char.IsHighSurrogate(text[end]) ? 2 : 1;
            if (end >= offered.Length)
            {
                break;
            }
        }

        return Math.Min(end, text.Length);
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

    private static SKTypeface Load(string file)
    {
        var assembly = Assembly.GetExecutingAssembly();
        var name = $"Dvara.Server.Chargeback.Assets.{file}";
        using var stream = assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"The font {name} is not part of this build.");
        using var bytes = SKData.Create(stream);
        return SKTypeface.FromData(bytes) ?? throw new InvalidOperationException($"The font {name} cannot be read.");
    }
}

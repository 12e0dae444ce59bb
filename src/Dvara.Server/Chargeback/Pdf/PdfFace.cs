using System.Reflection;
using SkiaSharp;
using SkiaSharp.HarfBuzz;

namespace Dvara.Server.Chargeback.Pdf;

/// <summary>One font file. The files are part of the program: a machine's fonts would give other bytes.</summary>
/// <param name="file">In <c>Assets</c>.</param>
/// <param name="isShaped">Its scripts join, stack or reorder their letters, or run from right to left.</param>
internal sealed class PdfFace(string file, bool isShaped = false) : IDisposable
{
    private readonly Lazy<SKTypeface> _typeface = new(() => Load(file));
    private readonly Lock _shaping = new();
    private SKFont? _glyphs;
    private SKShaper? _shaper;

    public bool Has(int rune) => (_glyphs ??= new SKFont(_typeface.Value)).ContainsGlyph(rune);

    public float Width(string text, float size)
    {
        using var font = Font(size);
        return isShaped ? Shape(text, font).Width : font.MeasureText(text);
    }

    public void Draw(SKCanvas canvas, string text, float x, float baseline, float size, SKPaint paint)
    {
        using var font = Font(size);
        if (!isShaped)
        {
            canvas.DrawText(text, x, baseline, SKTextAlign.Left, font, paint);
            return;
        }

        var shape = Shape(text, font);
        using var builder = new SKTextBlobBuilder();
        var run = builder.AllocatePositionedRun(font, shape.Codepoints.Length);
        for (var i = 0; i < shape.Codepoints.Length; i++)
        {
            run.Glyphs[i] = (ushort)shape.Codepoints[i];
            run.Positions[i] = shape.Points[i];
        }

        using var blob = builder.Build();
        canvas.DrawText(blob, x, baseline, paint);
    }

    public void Dispose()
    {
        _shaper?.Dispose();
        _glyphs?.Dispose();
        if (_typeface.IsValueCreated)
        {
            _typeface.Value.Dispose();
        }
    }

    private SKShaper.Result Shape(string text, SKFont font)
    {
        lock (_shaping)
        {
            return (_shaper ??= new SKShaper(_typeface.Value)).Shape(text, font);
        }
    }

    private SKFont Font(float size) => new(_typeface.Value, size)
    {
        // Positions as the face says, whatever the resolution of a screen.
        Subpixel = true,
        LinearMetrics = true,
        Hinting = SKFontHinting.None,
    };

    private static SKTypeface Load(string file)
    {
        var name = $"Dvara.Server.Chargeback.Assets.{file}";
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"The font {name} is not part of this build.");
        using var bytes = SKData.Create(stream);
        return SKTypeface.FromData(bytes) ?? throw new InvalidOperationException($"The font {name} cannot be read.");
    }
}

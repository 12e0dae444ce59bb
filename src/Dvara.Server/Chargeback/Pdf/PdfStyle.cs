using SkiaSharp;

namespace Dvara.Server.Chargeback.Pdf;

internal enum PdfAlign
{
    Left,
    Right,
}

/// <summary>How a run of text looks. Sizes are points.</summary>
internal readonly record struct PdfStyle(float Size, SKColor Color, bool Strong = false)
{
    public static readonly SKColor Ink = new(0x16, 0x1B, 0x26);

    public static readonly SKColor Muted = new(0x5A, 0x64, 0x74);

    /// <summary>For digits that are there for exactness alone.</summary>
    public static readonly SKColor Faint = new(0xA9, 0xB1, 0xBD);

    public static readonly SKColor Accent = new(0x1D, 0x4E, 0x6B);

    public static readonly SKColor Warning = new(0x8A, 0x4B, 0x08);

    public static readonly SKColor WarningGround = new(0xFD, 0xF3, 0xE1);

    public static readonly SKColor Rule = new(0xDD, 0xE1, 0xE7);

    public static readonly SKColor Panel = new(0xF4, 0xF6, 0xF8);

    public static readonly PdfStyle Brand = new(17, Accent, Strong: true);

    public static readonly PdfStyle Title = new(17, Ink, Strong: true);

    public static readonly PdfStyle Name = new(11.5f, Ink, Strong: true);

    public static readonly PdfStyle Sum = new(25, Ink, Strong: true);

    public static readonly PdfStyle Heading = new(10.5f, Ink, Strong: true);

    public static readonly PdfStyle Body = new(8.5f, Ink);

    public static readonly PdfStyle BodyStrong = new(8.5f, Ink, Strong: true);

    public static readonly PdfStyle Label = new(7.5f, Muted);

    public static readonly PdfStyle ColumnTitle = new(7.2f, Muted, Strong: true);

    public static readonly PdfStyle Cell = new(7.8f, Ink);

    public static readonly PdfStyle CellStrong = new(7.8f, Ink, Strong: true);

    public static readonly PdfStyle CellNote = new(6.2f, Muted);

    public static readonly PdfStyle Small = new(7.2f, Muted);

    public static readonly PdfStyle Badge = new(8, Warning, Strong: true);

    /// <summary>From one baseline to the next.</summary>
    public float Leading => Size * 1.38f;
}

using Dvara.Domain.Statements;
using SkiaSharp;

namespace Dvara.Server.Chargeback.Pdf;

/// <summary>
/// The statement as one would attach it to an invoice: whose it is and of what period, what it comes to, then where it comes from, by
/// model, key and tag, and last what the reader must know about figures that are not plain.
/// </summary>
internal sealed class PdfReportRenderer : IReportRenderer, IDisposable
{
    private readonly PdfType _type = new();

    public byte[] Render(Statement statement)
    {
        var sheet = new PdfSheet(_type, statement);
        sheet.DrawHeader();
        sheet.DrawTotal();
        sheet.DrawTables();
        sheet.DrawNotes();
        var metadata = new SKDocumentPdfMetadata
        {
            Title = $"Usage statement {statement.FileName}",
            Author = "Dvara",
            Creator = "Dvara",
            Producer = "Dvara",
            Creation = statement.CreatedAt.UtcDateTime,
            Modified = statement.CreatedAt.UtcDateTime,
            RasterDpi = 72,
            EncodingQuality = 101,
        };
        return sheet.ToBytes(metadata);
    }

    public void Dispose() => _type.Dispose();
}

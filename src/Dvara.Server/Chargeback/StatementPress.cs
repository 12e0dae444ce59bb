using Dvara.Domain.Statements;

namespace Dvara.Server.Chargeback;

/// <summary>A statement with everything that is stored of it.</summary>
/// <param name="Statement">FAILED where its documents could not be made.</param>
/// <param name="Resource">The API's representation.</param>
/// <param name="Documents">None for a failed one.</param>
internal sealed record PrintedStatement(Statement Statement, byte[] Resource, IReadOnlyList<StatementDocument> Documents)
{
    /// <summary>Of the PDF, which is what goes out with an invoice.</summary>
    public string? Sha256 => PdfOf(Documents)?.Sha256;

    public static StatementDocument? PdfOf(IEnumerable<StatementDocument> documents) =>
        documents.FirstOrDefault(document => document.Format == DocumentFormat.Pdf);
}

/// <summary>Turns a drawn statement into its bytes, once. A renderer that fails makes a FAILED statement, never none.</summary>
internal sealed partial class StatementPress(IReportRenderer renderer, ILogger<StatementPress> logger)
{
    public PrintedStatement Print(Statement statement)
    {
        IReadOnlyList<StatementDocument> documents = [];
        try
        {
            documents =
            [
                new(DocumentFormat.Pdf, renderer.Render(statement)),
                new(DocumentFormat.Csv, StatementCsv.Render(statement)),
            ];
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            LogRenderingFailed(logger, exception, statement.Id.Value, statement.TenantId.Value, statement.Number);
            statement = statement with { Status = StatementStatus.Failed };
        }

        var resource = StatementResource.Render(statement, PrintedStatement.PdfOf(documents)?.Sha256);
        return new(statement, resource, documents);
    }

    [LoggerMessage(1, LogLevel.Error,
        "Statement {Statement} of tenant {Tenant} (number {Number}) could not be rendered. It is kept as FAILED; asking for it again tries again.")]
    private static partial void LogRenderingFailed(ILogger logger, Exception exception, Guid statement, Guid tenant, string? number);
}

using CsvHelper;
using Dvara.Domain;
using Dvara.Domain.Statements;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Chargeback;

/// <summary>
/// A statement as CSV: RFC 4180, UTF-8, one row per line, no total row, so that a column's sum is the statement's. New columns come at
/// the end only.
/// </summary>
internal static class StatementCsv
{
    private static readonly string[] Columns =
    [
        "statement_number", "period_start", "period_end", "tenant_id", "tenant_name", "provider", "model", "api_key_id", "api_key_name",
        "requests", "input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
        "input_cost_usd", "output_cost_usd", "total_cost_usd", "billed_usd",
        "estimated_requests", "unpriced_requests", "unresolved_requests",
    ];

    // Text that a spreadsheet would run as a formula gets an apostrophe in front. Figures are written as numbers, which the escape
    // leaves alone: a credit stays -1.25.
    private static readonly CsvWriterOptions Options = new()
    {
        NewLine = "\r\n",
        Injection = CsvInjection.Escape,
        WriteByteOrderMark = false,
    };

    public static byte[] Render(Statement statement)
    {
        using var bytes = new MemoryStream();
        using (var csv = CsvWriter.Create(bytes, Options, leaveOpen: true))
        {
            csv.WriteHeader(Columns);
            foreach (var line in statement.Contents.Lines)
            {
                WriteLine(csv, statement, line);
            }
        }

        return bytes.ToArray();
    }

    private static void WriteLine(CsvWriter csv, Statement statement, StatementLine line)
    {
        csv.WriteField(statement.Number ?? "");
        csv.WriteField(Instants.Format(statement.Window.From));
        csv.WriteField(Instants.Format(statement.Window.To));
        csv.WriteField(statement.TenantId.ToString());
        WriteText(csv, statement.TenantName);
        WriteText(csv, line.Provider);
        WriteText(csv, line.Model);
        csv.WriteField(line.ApiKeyId.ToString());
        WriteText(csv, line.ApiKeyName);

        var tally = line.Tally;
        csv.WriteField(tally.Requests);
        csv.WriteField(tally.InputTokens);
        csv.WriteField(tally.CachedInputTokens);
        csv.WriteField(tally.CacheWriteTokens);
        csv.WriteField(tally.OutputTokens);
        csv.WriteField(tally.ReasoningTokens);
        WriteAmount(csv, tally.InputCost);
        WriteAmount(csv, tally.OutputCost);
        WriteAmount(csv, tally.TotalCost);
        // What the tenant pays: the cost, as long as there are no rates of a tenant's own.
        WriteAmount(csv, tally.TotalCost);
        csv.WriteField(tally.Estimated);
        csv.WriteField(tally.Unpriced);
        csv.WriteField(tally.Unresolved);
        csv.EndRecord();
    }

    /// <summary>The full-width forms of <c>= + - @</c> start formulas too, in East Asian editions; CsvHelper's list is ASCII.</summary>
    private static void WriteText(CsvWriter csv, string text) =>
        csv.WriteField(text is ['\uFF1D' or '\uFF0B' or '\uFF0D' or '\uFF20', ..] ? "'" + text : text);

    private static void WriteAmount(CsvWriter csv, Usd amount) => csv.WriteField(amount.ToDecimal());
}

using CsvHelper;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Pricing;

/// <summary>
/// Reads a price file: UTF-8 with or without byte order mark, commas, a header with the fields of a price in camelCase or snake_case, in any
/// order. The shipped list and an admin's import are read by the same code. An empty cell is an absent value.
/// </summary>
internal static class PriceCsv
{
    /// <summary>Largest file, bytes.</summary>
    public const int BytesMax = 8 << 20;

    /// <summary>Most rows: each becomes a row of the price table and an event of the audit trail.</summary>
    public const int RowsMax = 10_000;

    private static readonly string[] Required = ["provider", "model", "inputPerMillionUsd", "outputPerMillionUsd"];

    private static readonly CsvReaderOptions Options = new()
    {
        Separator = ',',
        DetectSeparatorHint = false,
        TrimWhitespace = true,
        MalformedData = CsvMalformedDataHandling.Throw,
        // An unclosed quote must not swallow the file.
        AllowLineBreaksInQuotes = false,
        MaxRecordSize = 64 << 10,
        IncludeValuesInExceptions = false,
        PoolStrings = false,
    };

    /// <returns>The rows that are right, and what is wrong with the others.</returns>
    public static (List<PriceRow> Rows, List<FieldError> Errors) Read(byte[] csv)
    {
        var (rows, errors) = (new List<PriceRow>(), new List<FieldError>());
        using var reader = CsvReader.Create(csv, Options);
        try
        {
            reader.ReadHeader();
            var columns = ReadColumns(reader, errors);
            // Without columns there is no row to speak of.
            while (columns.Count > 0 && reader.Read())
            {
                if (reader.RowNumber > RowsMax)
                {
                    errors.Add(new("", $"The file has more than {RowsMax} rows; import it in parts."));
                    break;
                }

                // Row 1 is the header.
                ReadRow(reader, columns, (int)reader.RowNumber + 1, rows, errors);
            }
        }
        catch (CsvFormatException exception)
        {
            errors.Add(PriceImport.InRow((int)Math.Max(exception.RecordNumber, 1), new("", "The row is not CSV: " + exception.Message)));
        }

        return (rows, errors);
    }

    private static List<string> ReadColumns(CsvReader reader, List<FieldError> errors)
    {
        var columns = reader.Headers.ToArray().Select(AdminJson.ToCamelCase).ToList();
        foreach (var unknown in columns.Where(column => !PriceFields.IsKnown(column)))
        {
            errors.Add(PriceImport.InRow(1, new("", $"\"{Shorten(unknown)}\" is not a column of a price file; it has {PriceFields.KnownNames}, with commas between.")));
        }

        foreach (var twice in columns.GroupBy(column => column).Where(group => group.Count() > 1))
        {
            errors.Add(PriceImport.InRow(1, new(twice.Key, $"The column {Shorten(twice.Key)} is there twice.")));
        }

        foreach (var missing in Required.Except(columns))
        {
            errors.Add(PriceImport.InRow(1, new(missing, $"The column {missing} is missing.")));
        }

        return errors.Count == 0 ? columns : [];
    }

    private static void ReadRow(CsvReader reader, List<string> columns, int number, List<PriceRow> rows, List<FieldError> errors)
    {
        if (reader.FieldCount != columns.Count)
        {
            errors.Add(PriceImport.InRow(number, new("", $"It has {reader.FieldCount} values under {columns.Count} columns.")));
            return;
        }

        var fields = new PriceFields();
        for (var i = 0; i < columns.Count; i++)
        {
            fields.Add(columns[i], reader.GetString(i));
        }

        if (fields.ToDraft() is { } draft)
        {
            rows.Add(new(number, draft));
        }

        errors.AddRange(fields.Errors.Select(error => PriceImport.InRow(number, error)));
    }

    private static string Shorten(string text) => text.Length <= 40 ? text : text[..40] + "…";
}

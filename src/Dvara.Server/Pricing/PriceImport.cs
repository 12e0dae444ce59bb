using System.Globalization;
using Dvara.Domain;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Pricing;

internal enum ImportOutcome
{
    /// <summary>The first price of its tenant, provider and model.</summary>
    Created,

    /// <summary>Another version of a price that was there.</summary>
    Changed,

    /// <summary>In force as it is.</summary>
    Unchanged,
}

/// <summary>A row of a price file.</summary>
/// <param name="Number">As a spreadsheet counts: the header is row 1.</param>
/// <param name="Draft">What it says.</param>
internal sealed record PriceRow(int Number, PriceDraft Draft);

/// <summary>What became of a row.</summary>
internal sealed record ImportedPrice(int Row, ImportOutcome Outcome, PriceVersion Version);

/// <summary>The answer to an import. After a dry run it says what would have happened, and a price that is not there has no id.</summary>
internal sealed record PriceImport(bool DryRun, int Rows, int Created, int Changed, int Unchanged, IReadOnlyList<PriceImport.Item> Items)
{
    private const int ErrorsMax = 100;

    public static PriceImport Of(bool dryRun, IReadOnlyList<ImportedPrice> prices) => new(
        dryRun,
        prices.Count,
        prices.Count(price => price.Outcome == ImportOutcome.Created),
        prices.Count(price => price.Outcome == ImportOutcome.Changed),
        prices.Count(price => price.Outcome == ImportOutcome.Unchanged),
        [.. prices.Select(price => Item.Of(price, dryRun))]);

    public static FieldError InRow(int row, FieldError error) => new(
        error.Field.Length == 0 ? FieldOf(row) : $"{FieldOf(row)}.{error.Field}",
        string.Create(CultureInfo.InvariantCulture, $"Row {row}: {error.Message}"));

    /// <summary>Nothing was imported; says why of the first rows.</summary>
    public static ApiError Refuse(List<FieldError> errors) => errors.Count <= ErrorsMax
        ? ApiError.Validation(errors)
        : ApiError.Validation([.. errors.Take(ErrorsMax), new("", $"And {errors.Count - ErrorsMax} more.")]);

    private static string FieldOf(int row) => string.Create(CultureInfo.InvariantCulture, $"rows[{row}]");

    internal sealed record Item(
        int Row,
        string Outcome,
        PriceId? Id,
        TenantId? TenantId,
        string Provider,
        string Model,
        DateTimeOffset EffectiveFrom,
        DateTimeOffset? EffectiveTo)
    {
        public static Item Of(ImportedPrice imported, bool dryRun)
        {
            var price = imported.Version.Price;
            return new(
                imported.Row,
                imported.Outcome.ContractName(),
                dryRun && imported.Outcome != ImportOutcome.Unchanged ? null : price.Id,
                price.TenantId,
                price.Provider,
                price.Model,
                price.EffectiveFrom,
                price.EffectiveTo);
        }
    }
}

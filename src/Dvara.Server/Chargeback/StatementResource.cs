using System.Text.Json;
using Dvara.Domain;
using Dvara.Domain.Statements;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Chargeback;

/// <summary>A statement as the API shows it. Written once, when the statement is made; every read answers those bytes.</summary>
internal sealed record StatementResource
{
    public required StatementId Id { get; init; }

    public required string? Number { get; init; }

    public required TenantId TenantId { get; init; }

    public required string TenantName { get; init; }

    public required DateTimeOffset From { get; init; }

    public required DateTimeOffset To { get; init; }

    public required string Status { get; init; }

    public required string Trigger { get; init; }

    public string Currency { get; } = "USD";

    public required Usd TotalUsd { get; init; }

    public required long RequestCount { get; init; }

    public required IReadOnlyList<Line> Lines { get; init; }

    /// <summary>By tag key, in the spelling that clients use.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyList<TagValue>> ByTag { get; init; }

    public required IReadOnlyList<AdjustmentLine> Adjustments { get; init; }

    public required long EstimatedRequests { get; init; }

    public required long UnpricedRequests { get; init; }

    public required long UnresolvedRequests { get; init; }

    /// <summary>Of the PDF; null where there is none.</summary>
    public required string? Sha256 { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    /// <param name="statement">What it is.</param>
    /// <param name="pdfSha256">The digest of its PDF; null where there is none.</param>
    public static byte[] Render(Statement statement, string? pdfSha256)
    {
        var (contents, total) = (statement.Contents, statement.Contents.Total);
        var resource = new StatementResource
        {
            Id = statement.Id,
            Number = statement.Number,
            TenantId = statement.TenantId,
            TenantName = statement.TenantName,
            From = statement.Window.From,
            To = statement.Window.To,
            Status = statement.Status.ContractName(),
            Trigger = statement.Trigger.ContractName(),
            TotalUsd = total.TotalCost,
            RequestCount = total.Requests,
            Lines = [.. contents.Lines.Select(Line.Of)],
            ByTag = contents.Tags.ToDictionary(
                table => table.Key, IReadOnlyList<TagValue> (table) => [.. table.Groups.Select(TagValue.Of)], StringComparer.Ordinal),
            Adjustments = [.. contents.Adjustments.Select(AdjustmentLine.Of)],
            EstimatedRequests = total.Estimated,
            UnpricedRequests = total.Unpriced,
            UnresolvedRequests = total.Unresolved,
            Sha256 = pdfSha256,
            CreatedAt = statement.CreatedAt,
        };
        return JsonSerializer.SerializeToUtf8Bytes(resource, AdminJson.Options);
    }

    internal sealed record Line(
        string Provider,
        string Model,
        ApiKeyId ApiKeyId,
        string ApiKeyName,
        long Requests,
        long InputTokens,
        long CachedInputTokens,
        long CacheWriteTokens,
        long OutputTokens,
        long ReasoningTokens,
        Usd InputCostUsd,
        Usd OutputCostUsd,
        Usd TotalCostUsd)
    {
        public static Line Of(StatementLine line) => new(
            line.Provider,
            line.Model,
            line.ApiKeyId,
            line.ApiKeyName,
            line.Tally.Requests,
            line.Tally.InputTokens,
            line.Tally.CachedInputTokens,
            line.Tally.CacheWriteTokens,
            line.Tally.OutputTokens,
            line.Tally.ReasoningTokens,
            line.Tally.InputCost,
            line.Tally.OutputCost,
            line.Tally.TotalCost);
    }

    /// <summary><c>untagged</c> is true for what carries no tag of the key, so that the values add up to the statement.</summary>
    internal sealed record TagValue(string Value, bool Untagged, Usd TotalCostUsd, long RequestCount, long InputTokens, long OutputTokens)
    {
        public static TagValue Of(TagGroup group) => new(
            group.Value,
            group.Kind == TagGroupKind.Untagged,
            group.Tally.TotalCost,
            group.Tally.Requests,
            group.Tally.InputTokens,
            group.Tally.OutputTokens);
    }

    /// <summary>A signed amount for usage of an earlier month. Already contained in the lines.</summary>
    internal sealed record AdjustmentLine(
        string UsagePeriod,
        string Kind,
        string Provider,
        string Model,
        ApiKeyId ApiKeyId,
        string ApiKeyName,
        long Requests,
        long InputTokens,
        long OutputTokens,
        Usd InputCostUsd,
        Usd OutputCostUsd,
        Usd TotalCostUsd)
    {
        public static AdjustmentLine Of(Adjustment adjustment) => new(
            adjustment.UsageMonth.ToString(),
            adjustment.Kind.ContractName(),
            adjustment.Provider,
            adjustment.Model,
            adjustment.ApiKeyId,
            adjustment.ApiKeyName,
            adjustment.Tally.Requests,
            adjustment.Tally.InputTokens,
            adjustment.Tally.OutputTokens,
            adjustment.Tally.InputCost,
            adjustment.Tally.OutputCost,
            adjustment.Tally.TotalCost);
    }
}

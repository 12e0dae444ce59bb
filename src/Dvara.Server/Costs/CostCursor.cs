using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Costs;

/// <summary>
/// Where a page of <c>/costs</c> ended: the last attempt shown. Charges that arrive between pages are newer than the first page or stand
/// at their own place; nothing is shown twice, and nothing that was there at the first page is left out.
/// </summary>
internal static class CostCursor
{
    /// <summary>Everything that decides which lines there are; a cursor of other filters is refused.</summary>
    public static string ScopeOf(CostFilter filter, RequestId? requestId, ChargeState? state) =>
        string.Join('\n',
        [
            "costs", filter.TenantId?.ToString(), filter.ApiKeyId?.ToString(), requestId?.ToString(), state?.ToString(),
            filter.Provider, filter.Model, Instants.Format(filter.Window.From), Instants.Format(filter.Window.To),
            .. filter.Tags.OrderBy(tag => tag.Key, StringComparer.Ordinal).Select(tag => $"{tag.Key}:{tag.Value}"),
        ]);

    public static string Write(CursorCodec cursors, string scope, AttemptId last) => cursors.Encode(scope, last.ToString());

    public static AttemptId? Read(AdminQuery query, CursorCodec cursors, string scope) =>
        query.Cursor(cursors, scope) is { } position ? new(Guid.ParseExact(position, "D")) : null;
}

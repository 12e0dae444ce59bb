using System.Text.Json;
using System.Text.RegularExpressions;
using Dvara.Domain;
using Dvara.Domain.Time;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Audit;

internal static partial class AuditEndpoints
{
    private const string Path = "/v1/admin/audit/events";

    public static void MapAudit(this IEndpointRouteBuilder app) => app.MapGet(Path, ListAsync)
        .RequireScope("audit:read")
        .WithTags("Audit")
        .WithSummary("List what happened, newest first: admin writes, and every request with a known key");

    private static async Task<IResult> ListAsync(HttpContext httpContext, AuditStore store, RefusalLog refusals, CursorCodec cursors)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var (tenant, type, limit) = (query.Tenant(), ReadType(query), query.Limit());
        var window = query.Window(required: false);
        var admin = httpContext.Admin();
        var scope = $"{Path} {admin.TenantId} {tenant} {type} {window.From.UtcTicks} {window.To.UtcTicks}";
        Guid? after = query.Cursor(cursors, scope) is { } position ? Guid.ParseExact(position, "D") : null;
        if (query.Error() is { } error)
        {
            return error;
        }

        if (tenant is not null && !admin.MaySee(tenant))
        {
            // As a tenant that does not exist: nothing ever happened to it.
            return Answer([], null, query, window);
        }

        await refusals.FlushAsync(httpContext.RequestAborted);
        var filter = AuditFilter.Of(window, after) with { TenantId = tenant ?? admin.TenantId, Type = type };
        var events = await store.ListAsync(filter, limit + 1, httpContext.RequestAborted);
        List<EventAnswer> items = [.. events.Take(limit).Select(EventAnswer.Of)];
        return Answer(items, events.Count > limit ? cursors.Encode(scope, items[^1].Id.ToString("D")) : null, query, window);
    }

    private static string? ReadType(AdminQuery query)
    {
        var type = query.Text("type");
        if (type is not null && !TypeName().IsMatch(type))
        {
            query.Fail("type", "type is the name of a type of event, such as GATEWAY_REQUEST or TENANT_CREATED.");
        }

        return type == AuditTypes.GatewayResponse ? AuditTypes.GatewayRequest : type;
    }

    /// <summary>An open end of the window is echoed as null.</summary>
    private static IResult Answer(IReadOnlyList<EventAnswer> items, string? nextCursor, AdminQuery query, TimeWindow window)
    {
        var period = query.Text("period") is not null;
        return Results.Json(
            new
            {
                items,
                nextCursor,
                from = period || query.Text("from") is not null ? window.From : (DateTimeOffset?)null,
                to = period || query.Text("to") is not null ? window.To : (DateTimeOffset?)null,
            },
            AdminJson.Options);
    }

    [GeneratedRegex("^[A-Z][A-Z_]{0,63}$", RegexOptions.CultureInvariant)]
    private static partial Regex TypeName();

    private sealed record EventAnswer(
        Guid Id, DateTimeOffset Timestamp, string Type, TenantId? TenantId, string Actor, string? RequestId, JsonElement Payload)
    {
        public static EventAnswer Of(AuditEvent e) =>
            new(e.Id, e.Timestamp, e.Type, e.TenantId, e.Actor, e.RequestId, JsonElement.Parse(e.Payload));
    }
}

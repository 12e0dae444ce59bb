using System.Text.Json;
using Dvara.Domain;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Audit;

internal static class AuditEndpoints
{
    private const string Path = "/v1/admin/audit/events";

    public static void MapAudit(this IEndpointRouteBuilder app) => app.MapGet(Path, ListAsync)
        .RequireScope("audit:read")
        .WithTags("Audit")
        .WithSummary("List what happened, newest first: admin writes, and every request with a known key");

    private static async Task<IResult> ListAsync(HttpContext httpContext, AuditStore store, RequestLog requests, CursorCodec cursors)
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
            return ApiError.NotFound("tenant");
        }

        await requests.FlushAsync(httpContext.RequestAborted);
        var filter = AuditFilter.Of(window, after) with { TenantId = tenant ?? admin.TenantId, Type = type };
        var events = await store.ListAsync(filter, limit + 1, httpContext.RequestAborted);
        List<EventAnswer> items = [.. events.Take(limit).Select(EventAnswer.Of)];
        var nextCursor = events.Count > limit ? cursors.Encode(scope, items[^1].Id.ToString("D")) : null;
        return Results.Json(new { items, nextCursor, window.From, window.To }, AdminJson.Options);
    }

    private static string? ReadType(AdminQuery query)
    {
        var type = query.Text("type");
        if (type is not null && !AuditTypes.All.Contains(type))
        {
            query.Fail("type", $"type must be one of {string.Join(", ", AuditTypes.All)}.");
        }

        return type == AuditTypes.GatewayResponse ? AuditTypes.GatewayRequest : type;
    }

    private sealed record EventAnswer(
        Guid Id, DateTimeOffset Timestamp, string Type, TenantId? TenantId, string Actor, string? RequestId, JsonElement Payload)
    {
        public static EventAnswer Of(AuditEvent e) =>
            new(e.Id, e.Timestamp, e.Type, e.TenantId, e.Actor, e.RequestId, JsonElement.Parse(e.Payload));
    }
}

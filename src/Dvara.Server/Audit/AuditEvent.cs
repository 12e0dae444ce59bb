using System.Data.Common;
using System.Text.Json;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Audit;

/// <summary>Something that happened and must stay known. Append-only.</summary>
internal sealed record AuditEvent
{
    /// <summary>UUIDv7 made by the writer.</summary>
    public required Guid Id { get; init; }

    public required DateTimeOffset Timestamp { get; init; }

    /// <summary>For example <c>TENANT_CREATED</c>.</summary>
    public required string Type { get; init; }

    public TenantId? TenantId { get; init; }

    /// <summary>The admin token or API key that caused it; <c>system</c> where nobody did.</summary>
    public required string Actor { get; init; }

    public string? RequestId { get; init; }

    /// <summary>A JSON object. Never a key, a token or a prompt.</summary>
    public required string Payload { get; init; }

    public static AuditEvent By(AdminActor actor, TimeProvider clock, HttpContext httpContext, string type, TenantId? tenant, object payload)
    {
        var now = clock.GetUtcNow();
        return new()
        {
            Id = Guid.CreateVersion7(now),
            Timestamp = now,
            Type = type,
            TenantId = tenant,
            Actor = actor.Id,
            RequestId = httpContext.Response.Headers["x-request-id"].ToString(),
            Payload = JsonSerializer.Serialize(payload, AdminJson.Options),
        };
    }
}

/// <summary>Writes events inside the transaction of what they tell, so that neither can exist without the other.</summary>
internal static class AuditTrail
{
    private const string Insert = """
        INSERT INTO audit_events (id, at_ms, type, tenant_id, actor, request_id, payload)
        VALUES (@id, @timestamp, @type, @tenantId, @actor, @requestId, @payload)
        """;

    public static Task AppendAsync(DbTransaction transaction, AuditEvent auditEvent) => transaction.Connection!.ExecuteAsync(
        Insert,
        new
        {
            id = new RequestId(auditEvent.Id),
            auditEvent.Timestamp,
            auditEvent.Type,
            auditEvent.TenantId,
            auditEvent.Actor,
            auditEvent.RequestId,
            auditEvent.Payload,
        },
        transaction);
}

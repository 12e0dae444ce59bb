using System.Data.Common;
using Dapper;
using Dvara.Domain;

namespace Dvara.Server.Audit;

/// <summary>All SQL of the audit trail.</summary>
internal sealed class AuditStore
{
    private const string InsertEvent = """
        INSERT INTO audit_events (id, at_ms, type, tenant_id, actor, request_id, payload)
        VALUES (@id, @timestamp, @type, @tenantId, @actor, @requestId, @payload)
        """;

    public static Task InsertAsync(DbTransaction transaction, IReadOnlyList<AuditEvent> events) => transaction.Connection!.ExecuteAsync(
        InsertEvent,
        events.Select(e => new
        {
            id = new RequestId(e.Id),
            timestamp = e.Timestamp,
            type = e.Type,
            tenantId = e.TenantId,
            actor = e.Actor,
            requestId = e.RequestId,
            payload = e.Payload,
        }),
        transaction);
}

using System.Data.Common;
using Dapper;
using Dvara.Domain;
using Dvara.Server.Storage;

namespace Dvara.Server.Audit;

/// <summary>
/// All SQL of the audit trail. Two tables make it: <c>audit_events</c>, and <c>charges</c>, in which every request that went to a provider
/// stands already and is not written a second time. Both are sorted by UUIDv7s whose milliseconds are the event's time, so one id is a
/// position in both.
/// </summary>
internal sealed class AuditStore(Database database)
{
    private const string InsertEvent = """
        INSERT INTO audit_events (id, at_ms, type, tenant_id, actor, request_id, payload)
        VALUES (@id, @timestamp, @type, @tenantId, @actor, @requestId, @payload)
        """;

    private const string EventColumns = """
        SELECT id, at_ms AS timestamp, type, tenant_id AS tenantId, actor, request_id AS requestId, payload FROM audit_events
        """;

    // One constant per index: a condition that may be absent keeps SQLite from using it.
    private const string Events = EventColumns + """
         WHERE id >= @from AND id < @before ORDER BY id DESC LIMIT @limit
        """;

    private const string EventsOfType = EventColumns + """
         WHERE type = @type AND id >= @from AND id < @before ORDER BY id DESC LIMIT @limit
        """;

    private const string EventsOfTenant = EventColumns + """
         WHERE tenant_id = @tenantId AND (@type IS NULL OR type = @type) AND id >= @from AND id < @before ORDER BY id DESC LIMIT @limit
        """;

    // A request is its earliest attempt: that one's id is the event's. (Attempt number 1 would do, were it never quarantined.)
    private const string Earliest = """
         AND c.revision = 0 AND c.attempt_id >= @from AND c.attempt_id < @before
            AND NOT EXISTS (SELECT 1 FROM charges e WHERE e.request_id = c.request_id AND e.attempt_id < c.attempt_id)
            ORDER BY c.attempt_id DESC LIMIT @limit
        )
        SELECT r.attempt_id AS eventId, a.attempt_id AS attemptId, a.state, a.request_id AS requestId, a.tenant_id AS tenantId,
            a.api_key_id AS apiKeyId, a.provider, a.model, a.requested_model AS requestedModel, a.endpoint, a.stream, a.estimated,
            a.uncached_input AS uncachedInput, a.cache_read AS cacheRead, a.cache_write AS cacheWrite, a.output, a.reasoning,
            a.input_cost_pico_usd AS inputCost, a.output_cost_pico_usd AS outputCost,
            a.at_ms AS timestamp, a.latency_ms AS latencyMs, a.status, a.outcome
        FROM requests r JOIN charges a ON a.request_id = r.request_id
        ORDER BY r.attempt_id DESC, a.attempt_id, a.revision
        """;

    private const string Requests =
        "WITH requests AS (SELECT c.attempt_id, c.request_id FROM charges c WHERE 1 = 1" + Earliest;

    private const string RequestsOfTenant =
        "WITH requests AS (SELECT c.attempt_id, c.request_id FROM charges c WHERE c.tenant_id = @tenantId" + Earliest;

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

    /// <summary>The newest events of both tables before a position.</summary>
    public Task<List<AuditEvent>> ListAsync(AuditFilter filter, int limit, CancellationToken cancellationToken) => database.ReadAsync(
        async connection =>
        {
            var page = new
            {
                type = filter.Type,
                tenantId = filter.TenantId,
                from = new RequestId(filter.From),
                before = new RequestId(filter.Before),
                limit,
            };
            var statement = filter switch
            {
                { TenantId: not null } => EventsOfTenant,
                { Type: not null } => EventsOfType,
                _ => Events,
            };
            var own = (await connection.QueryAsync<EventRow>(statement, page)).Select(row => row.ToEvent());
            if (filter.Type is not (null or AuditTypes.GatewayRequest))
            {
                return own.ToList();
            }

            var rows = await connection.QueryAsync<AttemptRow>(filter.TenantId is null ? Requests : RequestsOfTenant, page);
            var requests = rows.GroupBy(row => row.EventId).Select(attempts => GatewayRequests.ToEvent([.. attempts]));
            return [.. own.Concat(requests).OrderByDescending(e => e.Id).Take(limit)];
        },
        cancellationToken);

    private sealed class EventRow
    {
        public RequestId Id { get; init; }

        public DateTimeOffset Timestamp { get; init; }

        public string Type { get; init; } = "";

        public TenantId? TenantId { get; init; }

        public string Actor { get; init; } = "";

        public string? RequestId { get; init; }

        public string Payload { get; init; } = "";

        public AuditEvent ToEvent() => new()
        {
            Id = Id.Value,
            Timestamp = Timestamp,
            Type = Type,
            TenantId = TenantId,
            Actor = Actor,
            RequestId = RequestId,
            Payload = Payload,
        };
    }
}

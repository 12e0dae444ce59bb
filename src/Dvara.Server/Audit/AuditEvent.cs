using System.Text.Json;
using Dvara.Domain;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Hosting.Idempotency;

namespace Dvara.Server.Audit;

/// <summary>Something that happened and must stay known. Append-only.</summary>
internal sealed record AuditEvent
{
    /// <summary>UUIDv7 made by the writer; its milliseconds are <see cref="Timestamp"/>, so that ids alone sort the trail.</summary>
    public required Guid Id { get; init; }

    public required DateTimeOffset Timestamp { get; init; }

    /// <summary>For example <c>TENANT_CREATED</c>.</summary>
    public required string Type { get; init; }

    public TenantId? TenantId { get; init; }

    /// <summary>The id of the admin token or API key that caused it; <c>system</c> where nobody did.</summary>
    public required string Actor { get; init; }

    public string? RequestId { get; init; }

    /// <summary>A JSON object. Never a key, a token or a prompt.</summary>
    public required string Payload { get; init; }

    /// <summary>The <c>Idempotency-Key</c> under which it was asked for: marked, with the event, as having had its effect.</summary>
    public IdempotencyClaim? Claim { get; init; }

    /// <summary>What an admin did with the call that is <paramref name="httpContext"/>.</summary>
    public static AuditEvent By(AdminActor actor, TimeProvider clock, HttpContext httpContext, string type, TenantId? tenant, object payload) =>
        Of(clock.GetUtcNow(), type, tenant, actor.Id, httpContext.Response.Headers[RequestIdMiddleware.Header].ToString(), payload)
            with { Claim = httpContext.Features.Get<IdempotencyClaim>() };

    /// <summary>What happened without anybody asking for it.</summary>
    public static AuditEvent BySystem(TimeProvider clock, string type, TenantId? tenant, object payload) =>
        Of(clock.GetUtcNow(), type, tenant, "system", null, payload);

    public static AuditEvent Of(DateTimeOffset at, string type, TenantId? tenant, string actor, string? requestId, object payload) => new()
    {
        Id = Uuid7.At(at),
        Timestamp = at,
        Type = type,
        TenantId = tenant,
        Actor = actor,
        RequestId = requestId,
        Payload = JsonSerializer.Serialize(payload, AdminJson.Options),
    };
}

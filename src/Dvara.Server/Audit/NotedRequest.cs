using Dvara.Domain;

namespace Dvara.Server.Audit;

/// <summary>A request that never became a call, as the trail tells it.</summary>
/// <param name="Id">What the client got as <c>x-request-id</c>.</param>
/// <param name="Tenant">The key's tenant.</param>
/// <param name="Key">The key that asked.</param>
/// <param name="Endpoint">The contract's path, for example <c>/v1/chat/completions</c>; never one that a client made up, since requests are counted by it.</param>
/// <param name="Status">The HTTP status answered.</param>
/// <param name="Code">The error code answered, for example <c>model_not_allowed</c>; null: it was not refused.</param>
internal sealed record NotedRequest(RequestId Id, TenantId Tenant, ApiKeyId Key, string Endpoint, int Status, string? Code)
{
    /// <summary>As the client wrote it; null where the refusal came before it was read.</summary>
    public string? Model { get; init; }

    /// <summary>As the client wrote it, where <see cref="Endpoint"/> does not say it.</summary>
    public string? Path { get; init; }
}

using Dvara.Domain;
using Dvara.Providers;
using Dvara.Providers.OpenAI;
using Dvara.Server.ApiKeys;
using Dvara.Server.Routing;

namespace Dvara.Server.Gateway;

/// <summary>A request that may be dispatched: whose it is, what it says, where it goes.</summary>
internal sealed record AdmittedCall
{
    public required RequestId RequestId { get; init; }

    public required ApiKeyIdentity Caller { get; init; }

    public required Endpoint Endpoint { get; init; }

    public required RequestFacts Facts { get; init; }

    public required ReadOnlyMemory<byte> Body { get; init; }

    public required ModelRoute Route { get; init; }

    /// <summary>Merged over body, header, key and tenant.</summary>
    public required IReadOnlyDictionary<string, string> Tags { get; init; }

    public string? IdempotencyKey { get; init; }

    /// <summary>
    /// True when only the answer's end tells what was produced: whole answers, and streams of models that hide their reasoning. They are
    /// worth reading to the end when the client has left, and unresolved where that end does not come.
    /// </summary>
    public bool ToldAtEnd => !Facts.Stream || OpenAiModels.HideReasoning(Route.Model);
}

namespace Dvara.Providers.OpenAI;

/// <summary>What a meter must know of one JSON object to decide what the client may see of it.</summary>
internal readonly record struct ChunkShape
{
    /// <summary>False: not a JSON object.</summary>
    public bool Readable { get; init; }

    /// <summary>True when it carries usage and nothing that was generated.</summary>
    public bool UsageOnly { get; init; }

    /// <summary>Bytes of a <c>"usage":null</c> with its comma; empty where there is none.</summary>
    public (int Start, int End) NullUsage { get; init; }
}

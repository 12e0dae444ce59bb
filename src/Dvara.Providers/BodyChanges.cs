namespace Dvara.Providers;

/// <summary>What must differ between the body that came and the body that goes upstream. Tags and mock script always go.</summary>
public readonly record struct BodyChanges
{
    /// <summary>The model's name at the provider; null: as the client wrote it.</summary>
    public string? Model { get; init; }

    /// <summary>True: a stream's usage chunk is asked for, whatever the client wrote; false: as the client wrote it.</summary>
    public bool AskUsage { get; init; }

    /// <summary>Output tokens that the gateway allows; null: as the client wrote it.</summary>
    public long? OutputLimit { get; init; }

    /// <summary>True: the limit is sent as the older <c>max_tokens</c>; false: as <c>max_completion_tokens</c>.</summary>
    public bool OutputLimitAsMaxTokens { get; init; }
}

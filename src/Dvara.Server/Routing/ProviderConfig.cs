namespace Dvara.Server.Routing;

/// <summary>An upstream account as an operator wrote it.</summary>
internal sealed record ProviderConfig
{
    /// <summary>The mock's address is never dialled: its handler answers inside the process.</summary>
    public static readonly ProviderConfig Mock = new() { Id = "mock", BaseUrl = new Uri("http://mock.invalid/v1") };

    /// <summary>Lower-case letters, digits and <c>-</c>, at most 32; what stands before the slash of <c>provider/model</c>.</summary>
    public required string Id { get; init; }

    /// <summary>http or https, no query; a path such as <c>chat/completions</c> is appended.</summary>
    public required Uri BaseUrl { get; init; }

    /// <summary>Sent as bearer token; null: the upstream asks for none.</summary>
    public string? Credential { get; init; }

    public WireFormat Format { get; init; }

    /// <summary>False for hosts that reject <c>stream_options</c>: their streams are counted by our own tokenizer.</summary>
    public bool AsksForUsage { get; init; } = true;
}

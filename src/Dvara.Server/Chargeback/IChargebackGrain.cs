namespace Dvara.Server.Chargeback;

/// <summary>Makes the statements of one tenant, one after the other. Its key is the tenant's id.</summary>
[Alias("dvara.chargeback")]
internal interface IChargebackGrain : IGrainWithGuidKey
{
    /// <summary>
    /// Makes the statement of a window: the final one if the window is a complete, ended calendar month, else a provisional one.
    /// Once begun it is finished, whether or not the caller still waits.
    /// </summary>
    /// <returns>Null: there is no such tenant.</returns>
    [Alias("GenerateAsync")]
    [ResponseTimeout("00:10:00")]
    Task<StatementOutcome?> GenerateAsync(StatementOrder order);
}

/// <summary>Who asks for which statement.</summary>
[GenerateSerializer, Immutable, Alias("dvara.chargeback.order")]
internal sealed record StatementOrder
{
    [Id(0)]
    public required DateTimeOffset From { get; init; }

    [Id(1)]
    public required DateTimeOffset To { get; init; }

    /// <summary>The schedule asks, not a person.</summary>
    [Id(2)]
    public bool Scheduled { get; init; }

    /// <summary>The id of the admin token, or <c>system</c>.</summary>
    [Id(3)]
    public required string Actor { get; init; }

    [Id(4)]
    public string? RequestId { get; init; }

    /// <summary>The <c>Idempotency-Key</c> under which it is asked for, with the digest of the call; both or neither.</summary>
    [Id(5)]
    public string? IdempotencyKey { get; init; }

    [Id(6)]
    public byte[]? Fingerprint { get; init; }
}

[GenerateSerializer, Immutable, Alias("dvara.chargeback.outcome")]
internal sealed record StatementOutcome
{
    [Id(0)]
    public required Guid StatementId { get; init; }

    /// <summary>False: the month was closed before, and this is its statement.</summary>
    [Id(1)]
    public required bool Created { get; init; }

    /// <summary>True: the ledger lacks what this silo has settled, so no statement was made and <see cref="StatementId"/> is none.</summary>
    [Id(2)]
    public bool LedgerIsBehind { get; init; }
}

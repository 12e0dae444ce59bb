using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Providers;
using Dvara.Server.Budgets;
using Dvara.Server.Metering;
using Dvara.Server.Pricing;

namespace Dvara.Server.Gateway;

/// <summary>Begins the attempts of a request: what is noted of each before it is dispatched.</summary>
internal sealed class Attempts(Journal journal, Settlement settlement, PriceBookState prices, TimeProvider clock, ILogger<Attempt> logger)
{
    /// <summary>Bytes per token of ordinary English text, for the note that bounds what a crash leaves unknown.</summary>
    private const int TypicalBytesPerToken = 4;

    /// <param name="call">The request.</param>
    /// <param name="number">Counts from 1 within it.</param>
    /// <param name="hold">What was set aside for it; ends with it.</param>
    public Attempt Begin(AdmittedCall call, int number, Hold hold) => new(call, IntentOf(call, number, hold), hold, journal, settlement, prices, clock, logger);

    private static Intent IntentOf(AdmittedCall call, int number, Hold hold) => new()
    {
        AttemptId = AttemptId.At(hold.At),
        RequestId = call.RequestId,
        Attempt = number,
        TenantId = new(call.Caller.TenantId),
        ApiKeyId = new(call.Caller.KeyId),
        Provider = call.Route.Provider.Id,
        Model = call.Route.Model,
        RequestedModel = call.Facts.Model,
        Endpoint = call.Endpoint.Path(),
        Stream = call.Facts.Stream,
        Tags = call.Tags,
        EndUser = call.Facts.EndUser,
        IdempotencyKey = call.IdempotencyKey,
        EstimatedInputTokens = call.Facts.InputTextBytes / TypicalBytesPerToken,
        Holds = hold.Noted,
    };
}

using Dvara.Domain;
using Dvara.Domain.Pricing;

namespace Dvara.UnitTests.Pricing;

internal static class SomePrices
{
    public static readonly DateTimeOffset Start = new(2026, 4, 1, 0, 0, 0, TimeSpan.Zero);

    public static readonly TenantId Acme = new(Guid.Parse("01890000-0000-7000-8000-000000000001"));

    public static Price Of(
        string model, long rate = 1, TenantId? tenant = null, PriceSource source = PriceSource.Custom, DateTimeOffset? from = null, DateTimeOffset? to = null) => new()
        {
            Id = new(Guid.NewGuid()),
            TenantId = tenant,
            Provider = "openai",
            Model = model,
            InputRate = rate,
            OutputRate = rate,
            EffectiveFrom = from ?? Start,
            EffectiveTo = to,
            Source = source,
        };
}

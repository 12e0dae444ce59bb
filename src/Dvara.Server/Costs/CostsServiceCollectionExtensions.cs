using Dvara.Server.Metering;

namespace Dvara.Server.Costs;

internal static class CostsServiceCollectionExtensions
{
    public static IServiceCollection AddCosts(this IServiceCollection services) => services
        .AddSingleton<CostsStore>()
        .AddSingleton<SummaryStore>()
        .AddSingleton<UnpricedStore>()
        .AddSingleton<LedgerCatchUp>()
        .AddSingleton<RequestCosts>()
        .AddSingleton<Resolutions>()
        .AddSingleton<ILedgerParticipant, ResolutionEvents>();
}

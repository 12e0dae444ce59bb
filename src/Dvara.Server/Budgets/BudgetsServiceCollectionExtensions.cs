using Dvara.Server.Hosting;
using Dvara.Server.Metering;

namespace Dvara.Server.Budgets;

internal static class BudgetsServiceCollectionExtensions
{
    /// <remarks>Before Metering starts: the first batch that is shipped charges caps too.</remarks>
    public static IServiceCollection AddBudgets(this IServiceCollection services)
    {
        services.AddSingleton(provider => provider.GetRequiredService<DvaraSettings>().Budgets);
        services.AddSingleton<CapBookState>();
        services.AddSingleton<CapWrites>();
        services.AddSingleton<CapLeases>();
        services.AddHostedService<CapBookFeed>();
        services.AddSingleton<ILedgerParticipant, BudgetLedger>();
        services.AddSingleton<IJournalLeases, JournalLeaseStore>();
        services.AddSingleton<Lending>();
        services.AddSingleton<LeaseAsker>();
        services.AddSingleton<UsualCosts>();
        services.AddSingleton<BudgetGate>();
        services.AddSingleton<BudgetsOfKey>();
        services.AddHostedService<LeaseWatch>();
        return services;
    }
}

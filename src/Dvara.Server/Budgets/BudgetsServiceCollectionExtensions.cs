using Dvara.Server.Hosting;
using Dvara.Server.Metering;

namespace Dvara.Server.Budgets;

internal static class BudgetsServiceCollectionExtensions
{
    /// <remarks>
    /// After Metering: leases are looked at when what the last process left is in the ledger, and no more once the journal is closed.
    /// </remarks>
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

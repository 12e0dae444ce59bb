namespace Dvara.Server.Budgets;

internal static class BudgetsServiceCollectionExtensions
{
    public static IServiceCollection AddBudgets(this IServiceCollection services)
    {
        services.AddSingleton<CapWrites>();
        return services;
    }
}

using Dvara.Server.Chargeback.Pdf;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Dvara.Server.Chargeback;

internal static class ChargebackServiceCollectionExtensions
{
    public static IServiceCollection AddChargeback(this IServiceCollection services)
    {
        services.AddSingleton<StatementStore>();
        services.AddSingleton<BilledRowStore>();
        services.AddSingleton<StatementPress>();
        services.TryAddSingleton<IReportRenderer, PdfReportRenderer>();
        return services;
    }
}

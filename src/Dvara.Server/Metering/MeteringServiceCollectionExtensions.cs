using Dvara.Server.Hosting;
using Dvara.Server.Storage;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Dvara.Server.Metering;

internal static class MeteringServiceCollectionExtensions
{
    /// <remarks>After Pricing: what the last process left open is priced at the start.</remarks>
    public static IServiceCollection AddMetering(this IServiceCollection services)
    {
        services.AddSingleton<ProcessFailure>();
        services.AddSingleton(provider => provider.GetRequiredService<DvaraSettings>().Journal);
        services.AddSingleton(OpenJournal);
        services.AddSingleton<LedgerWriter>();
        services.AddHostedService(provider => provider.GetRequiredService<LedgerWriter>());
        services.AddSingleton<Settlement>();
        services.AddHealthChecks().AddCheck<JournalCheck>("journal");
        return services;
    }

    private static Journal OpenJournal(IServiceProvider provider)
    {
        var directory = provider.GetRequiredService<DataDirectory>();
        JournalFolder.Check(directory.Path, provider.GetRequiredService<DvaraSettings>().AcceptLoss);
        return Journal.Open(
            directory.JournalFile,
            provider.GetRequiredService<JournalOptions>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ProcessFailure>().End,
            provider.GetRequiredService<ILogger<Journal>>());
    }

    /// <summary>A node whose journal admits nothing sends its traffic elsewhere.</summary>
    private sealed class JournalCheck(Journal journal) : IHealthCheck
    {
        public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
            Task.FromResult(journal.Admits
                ? HealthCheckResult.Healthy()
                : HealthCheckResult.Unhealthy("the journal admits nothing: its disk is full or the ledger is too far behind"));
    }
}

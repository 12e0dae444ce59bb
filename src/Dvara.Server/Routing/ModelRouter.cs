using Dvara.Providers;

namespace Dvara.Server.Routing;

/// <summary>Where a call goes: the provider, and the model as it knows it.</summary>
internal readonly record struct ModelRoute(Provider Provider, string Model);

/// <summary>Why a model name leads nowhere.</summary>
internal enum RouteProblem
{
    /// <summary>No provider claims the name.</summary>
    ModelNotFound,

    /// <summary>A known provider without a credential.</summary>
    NotConfigured,

    /// <summary>The provider does not speak the wire format of the path.</summary>
    WrongFormat,
}

/// <summary>From the model name of a request to a provider: <c>provider/model</c> names one, otherwise the name's prefix decides.</summary>
internal sealed class ModelRouter : IDisposable
{
    private readonly Dictionary<string, Provider> _providers;

    public ModelRouter(IReadOnlyList<ProviderConfig> configs, TimeProvider clock)
    {
        _providers = configs.ToDictionary(c => c.Id, c => Provider.Connect(c, clock), StringComparer.Ordinal);
    }

    public IReadOnlyCollection<Provider> Providers => _providers.Values;

    /// <param name="requested">The model as the client wrote it.</param>
    /// <param name="format">What the client's path speaks.</param>
    /// <param name="route">Where it goes, when there is no problem.</param>
    /// <param name="claimant">The provider that the name belongs to, also where it cannot serve; null when nobody claims it.</param>
    public RouteProblem? Resolve(string requested, WireFormat format, out ModelRoute route, out string? claimant)
    {
        route = default;
        var slash = requested.IndexOf('/', StringComparison.Ordinal);
        var model = requested;
        claimant = slash > 0 && IsProvider(requested[..slash]) ? requested[..slash] : null;
        if (claimant is not null)
        {
            model = requested[(slash + 1)..];
        }

        claimant ??= ProviderNames.ForModel(requested);
        if (claimant is null || model.Length == 0)
        {
            return RouteProblem.ModelNotFound;
        }

        if (!_providers.TryGetValue(claimant, out var provider))
        {
            return RouteProblem.NotConfigured;
        }

        route = new ModelRoute(provider, model);
        return provider.Config.Format == format ? null : RouteProblem.WrongFormat;
    }

    /// <summary>How a client writes a provider's model: the bare name where that already leads there.</summary>
    public static string NameOf(string provider, string model) =>
        ProviderNames.ForModel(model) == provider ? model : provider + "/" + model;

    public void Dispose()
    {
        foreach (var provider in _providers.Values)
        {
            provider.Dispose();
        }
    }

    private bool IsProvider(string id) =>
        _providers.ContainsKey(id) || KnownProvider.All.ContainsKey(id) || id == ProviderConfig.Mock.Id;
}

namespace Dvara.Providers;

/// <summary>A model name taken apart.</summary>
/// <param name="Provider">The provider that the name gives; null: it gives none.</param>
/// <param name="Model">The model's name at the provider.</param>
public readonly record struct ProviderModel(string? Provider, string Model)
{
    /// <summary>
    /// Splits <c>provider/model</c> at the first slash where the left side is one of <paramref name="providers"/>; any other name is a
    /// model's whole name (many hosts have a slash in theirs).
    /// </summary>
    public static ProviderModel Parse(string name, IReadOnlySet<string> providers)
    {
        var slash = name.IndexOf('/', StringComparison.Ordinal);
        return slash > 0 && slash < name.Length - 1 && providers.Contains(name[..slash])
            ? new ProviderModel(name[..slash], name[(slash + 1)..])
            : new ProviderModel(null, name);
    }
}

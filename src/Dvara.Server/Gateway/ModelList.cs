using Dvara.Server.ApiKeys;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Pricing;
using Dvara.Server.Routing;

namespace Dvara.Server.Gateway;

/// <summary>
/// GET /v1/models: every model that has a price and a configured provider and that the key may use, in OpenAI's shape. A model without
/// a price can be called too; it is not advertised.
/// </summary>
internal sealed class ModelList(ModelRouter router, PriceBookState prices, TimeProvider clock)
{
    public IResult List(ApiKeyIdentity caller) => Json(new Listing("list", ModelsFor(caller)));

    public IResult Find(ApiKeyIdentity caller, string id)
    {
        // Clients escape the slash of a provider's prefix, and routing leaves that one escape as it is.
        id = id.Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        return ModelsFor(caller).FirstOrDefault(m => m.Id == id) is { } model ? Json(model) : GatewayErrors.ModelNotFound(id);
    }

    private List<Model> ModelsFor(ApiKeyIdentity caller)
    {
        var now = clock.GetUtcNow();
        var tenant = new Domain.TenantId(caller.TenantId);
        var eligible = router.Providers.Where(p => p.Config.Format == WireFormat.OpenAi).Select(p => p.Id).ToHashSet(StringComparer.Ordinal);
        return [.. prices.Current.All
            .Where(p => eligible.Contains(p.Provider) && !p.Model.EndsWith('*') && p.IsEffectiveAt(now) && (p.TenantId is null || p.TenantId == tenant))
            .Select(p => (Name: ModelRouter.NameOf(p.Provider, p.Model), p.Provider))
            .Distinct()
            .Where(m => Admission.Allows(caller, m.Name))
            .OrderBy(m => m.Name, StringComparer.Ordinal)
            .Select(m => new Model(m.Name, "model", 0, m.Provider))];
    }

    private static IResult Json<T>(T value) => Results.Json(value, AdminJson.Options);

    private sealed record Listing(string Object, IReadOnlyList<Model> Data);

    /// <param name="Id">As a client writes it.</param>
    /// <param name="Object">Always <c>model</c>.</param>
    /// <param name="Created">Unix seconds; 0, because nobody knows it.</param>
    /// <param name="OwnedBy">The provider.</param>
    private sealed record Model(string Id, string Object, long Created, [property: System.Text.Json.Serialization.JsonPropertyName("owned_by")] string OwnedBy);
}

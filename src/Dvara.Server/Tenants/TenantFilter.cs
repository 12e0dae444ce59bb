using System.Text.Json;
using Dvara.Domain;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Tenants;

/// <summary>Which tenants a list shows; what is null or empty does not narrow it.</summary>
/// <param name="Only">The one tenant that the caller may see.</param>
/// <param name="Name">The whole name.</param>
/// <param name="Status">The status.</param>
/// <param name="Metadata">Entries that must all be there, with these very values.</param>
internal sealed record TenantFilter(TenantId? Only, string? Name, TenantStatus? Status, IReadOnlyDictionary<string, string> Metadata)
{
    public static TenantFilter Read(AdminQuery query, AdminActor admin) =>
        new(admin.TenantId, query.Text("name")?.Trim(), query.Choice<TenantStatus>("status"), query.Map("metadata"));

    /// <summary>What a cursor of this list is signed over. JSON, so that no value can pass for another field.</summary>
    public string CursorScope(string path) => JsonSerializer.Serialize(
        new { path, Only, Name, Status, metadata = Metadata.OrderBy(entry => entry.Key, StringComparer.Ordinal) }, AdminJson.Options);
}

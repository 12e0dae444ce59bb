using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Clients;

/// <summary>A program of <c>tests/clients</c>, run with the official npm client.</summary>
internal static class ClientScript
{
    /// <returns>The JSON object it prints.</returns>
    public static async Task<JsonNode> RunAsync(string script, params string[] arguments)
    {
        var clients = Path.Combine(Repository.Root, "tests", "clients");
        Assert.True(Directory.Exists(Path.Combine(clients, "node_modules")), "Run npm ci in tests/clients (tests/run.sh does).");
        return JsonNode.Parse(await Shell.RunAsync(clients, TimeSpan.FromMinutes(1), "node", [script, .. arguments]))!;
    }
}

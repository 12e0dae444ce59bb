using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests;

/// <summary>One node for all tests of a class, each with a tenant of its own. What concerns the whole node needs another one.</summary>
public sealed class SharedNode : IAsyncLifetime
{
    public GatewayEnvironment Environment { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Environment = await GatewayEnvironment.StartAsync();

    public ValueTask DisposeAsync() => Environment.DisposeAsync();
}

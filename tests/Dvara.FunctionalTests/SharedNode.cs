using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests;

/// <summary>One node for all tests of a class: each has a tenant, a key or a name of its own, and leaves the rest alone.</summary>
public class SharedNode : IAsyncLifetime
{
    private readonly TimeProvider? _clock;

    public SharedNode()
    {
    }

    protected SharedNode(TimeProvider clock) => _clock = clock;

    public GatewayEnvironment Node { get; private set; } = null!;

    public virtual async ValueTask InitializeAsync() => Node = await GatewayEnvironment.StartAsync(clock: _clock);

    public async ValueTask DisposeAsync()
    {
        await Node.DisposeAsync();
        GC.SuppressFinalize(this);
    }
}

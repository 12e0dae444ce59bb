using Xunit;

namespace Dvara.FunctionalTests.Pricing;

/// <summary>One node for all tests of a class that leave its clock where it stands; each prices a model of its own.</summary>
public sealed class SharedPricingNode : IAsyncLifetime
{
    internal PricingNode Node { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Node = await PricingNode.StartAsync();

    public ValueTask DisposeAsync() => Node.DisposeAsync();
}

using Xunit;

namespace Dvara.FunctionalTests.Faults;

/// <summary>Tests that load the whole machine or hold a promise about time: nothing else runs beside them.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}

using Dvara.Server.Tenants;
using Xunit;

namespace Dvara.UnitTests.Tenants;

public sealed class TenantMetadataTests
{
    [Theory]
    [InlineData(TenantMetadata.UnpricedPolicy, "allow")]
    [InlineData(TenantMetadata.UnpricedPolicy, "block")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "0")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "0.000000000001")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "999999999.999999999999")]
    [InlineData(TenantMetadata.AnomalyThresholdPct, "50")]
    [InlineData(TenantMetadata.AnomalyThresholdPct, "0.5")]
    [InlineData(TenantMetadata.AnomalyThresholdPct, "250.000001")]
    [InlineData(TenantMetadata.Byok, "shared")]
    [InlineData(TenantMetadata.Byok, "strict")]
    [InlineData("cost.of.something", "anything")]
    [InlineData("COST.UNPRICED-POLICY", "anything")]
    public void Value_ThatMeansSomething_IsTaken(string key, string value) => Assert.Null(TenantMetadata.Problem(key, value));

    [Theory]
    [InlineData(TenantMetadata.UnpricedPolicy, "")]
    [InlineData(TenantMetadata.UnpricedPolicy, "BLOCK")]
    [InlineData(TenantMetadata.UnpricedPolicy, "block ")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "-1")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "-0")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "+1")]
    [InlineData(TenantMetadata.MaxPerCallUsd, " 1")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "1\n")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "1e3")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "1,5")]
    [InlineData(TenantMetadata.MaxPerCallUsd, ".5")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "5.")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "NaN")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "Infinity")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "٣")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "$1")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "0.0000000000001")]
    [InlineData(TenantMetadata.MaxPerCallUsd, "1000000000")]
    [InlineData(TenantMetadata.AnomalyThresholdPct, "0")]
    [InlineData(TenantMetadata.AnomalyThresholdPct, "0.000000")]
    [InlineData(TenantMetadata.AnomalyThresholdPct, "-5")]
    [InlineData(TenantMetadata.AnomalyThresholdPct, "50%")]
    [InlineData(TenantMetadata.AnomalyThresholdPct, "1000000")]
    [InlineData(TenantMetadata.Byok, "none")]
    public void Value_ThatMeansNothing_IsRefused(string key, string value) => Assert.NotNull(TenantMetadata.Problem(key, value));
}

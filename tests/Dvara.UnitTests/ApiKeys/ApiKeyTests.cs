using Dvara.Domain;
using Dvara.Server.ApiKeys;
using Xunit;

namespace Dvara.UnitTests.ApiKeys;

public sealed class ApiKeyTests
{
    private static readonly DateTimeOffset Now = new(2026, 4, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void StatusAt_ItsExpiry_IsExpiredAndNotBefore()
    {
        var key = KeyThatExpires(Now.AddHours(1));

        Assert.Equal(ApiKeyStatus.Active, key.StatusAt(Now.AddHours(1).AddTicks(-1)));
        Assert.Equal(ApiKeyStatus.Expired, key.StatusAt(Now.AddHours(1)));
    }

    [Theory]
    [InlineData(null, 60, 60)]
    [InlineData(30, 60, 30)]
    [InlineData(90, 60, 60)]
    [InlineData(90, 0, 0)]
    public void RotateOut_WithAnOverlap_EndsWithTheEarlierOfOverlapAndExpiry(int? expirySeconds, int overlapSeconds, int expectedSeconds)
    {
        var key = KeyThatExpires(expirySeconds is { } seconds ? Now.AddSeconds(seconds) : null);

        var old = key.RotateOut(TimeSpan.FromSeconds(overlapSeconds), Now);

        Assert.Equal(Now.AddSeconds(expectedSeconds), old.Attributes.ExpiresAt);
        Assert.Equal(ApiKeyStatus.Rotated, old.StatusAt(Now.AddYears(1)));
    }

    [Fact]
    public void Edit_OfAnExpiredKeyWithALaterExpiry_MakesItActive()
    {
        var key = KeyThatExpires(Now) with { Status = ApiKeyStatus.Expired };

        var edited = key.Edit(key.Attributes with { ExpiresAt = Now.AddDays(1) }, Now);

        Assert.Equal(ApiKeyStatus.Active, edited.Status);
    }

    [Fact]
    public void Edit_OfAnExpiredKeyThatStaysExpired_KeepsItsNameFree()
    {
        var key = KeyThatExpires(Now);

        Assert.Equal(ApiKeyStatus.Expired, key.Edit(key.Attributes, Now).Status);
    }

    [Fact]
    public void Edit_WithinTheSameMillisecondOrWithAnEarlierClock_MovesTheETagOn()
    {
        var key = KeyThatExpires(null);

        var first = key.Edit(key.Attributes, Now);
        var second = first.Revoke(Now.AddHours(-1));

        Assert.Equal(1, first.UpdatedAt.ToUnixTimeMilliseconds() - key.UpdatedAt.ToUnixTimeMilliseconds());
        Assert.Equal(1, second.UpdatedAt.ToUnixTimeMilliseconds() - first.UpdatedAt.ToUnixTimeMilliseconds());
    }

    [Fact]
    public void Successor_IsAnotherKey_OfTheSameLine()
    {
        var key = KeyThatExpires(null);

        var successor = key.MakeSuccessor("gw_2", Now).MakeSuccessor("gw_3", Now);

        Assert.Equal((KeyLineId.Of(key.Id), key.Attributes, key.TenantId, "gw_3"), (successor.Line, successor.Attributes, successor.TenantId, successor.Prefix));
        Assert.NotEqual(key.Id, successor.Id);
    }

    private static ApiKey KeyThatExpires(DateTimeOffset? expiresAt) => ApiKey.Make(
        new TenantId(Guid.NewGuid()),
        new ApiKeyAttributes("support-bot", [], [], new Dictionary<string, string>(), expiresAt),
        "gw_12345678",
        Now);
}

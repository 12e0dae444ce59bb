using CsCheck;
using Dvara.Domain;
using Dvara.Server.AdminTokens;
using Dvara.Server.Hosting.AdminApi;
using Xunit;

namespace Dvara.UnitTests.AdminTokens;

public sealed class TokenRequestTests
{
    private static readonly DateTimeOffset Now = new(2026, 4, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly TenantId Acme = new(Guid.CreateVersion7());
    private static readonly TenantId Other = new(Guid.CreateVersion7());

    private static AdminToken Maker(params string[] scopes) => new()
    {
        Id = new(Guid.CreateVersion7()),
        Name = "maker",
        Scopes = scopes.ToHashSet(),
        CreatedAt = Now,
    };

    [Theory]
    [InlineData("owner")]
    [InlineData("admin")]
    [InlineData("billing")]
    [InlineData("viewer")]
    public void Role_OfAnOwner_IsGrantedWithItsScopes(string role)
    {
        var (token, error) = new TokenRequest { Name = "new", Role = role }.ToToken(Maker([.. AdminScopes.All]), Now);

        Assert.Null(error);
        Assert.Equal(AdminRoles.Parse(role)!.Value.Scopes(), token!.Scopes);
        Assert.Empty(token.Scopes.Except(AdminScopes.All));
    }

    [Fact]
    public void Roles_AreNested()
    {
        Assert.Equal(AdminScopes.All.Count, AdminRole.Owner.Scopes().Count);
        Assert.Equal(["tokens:write"], AdminRole.Owner.Scopes().Except(AdminRole.Admin.Scopes()));
        Assert.Empty(AdminRole.Viewer.Scopes().Except(AdminRole.Billing.Scopes()));
        Assert.DoesNotContain(AdminRole.Viewer.Scopes(), scope => scope.EndsWith(":write", StringComparison.Ordinal));
    }

    /// <summary>Whatever is asked for, what comes out is nowhere wider than what it was made with.</summary>
    [Fact]
    public void Token_HoweverAskedFor_IsNeverWiderThanItsMaker()
    {
        var scopes = Gen.Shuffle(AdminScopes.All.ToArray(), 1, AdminScopes.All.Count);
        var tenant = Gen.Int[0, 2].Select(i => new TenantId?[] { null, Acme, Other }[i]);
        var expiry = Gen.OneOf(Gen.Const((DateTimeOffset?)null), Gen.Int[-5, 5].Select(days => (DateTimeOffset?)Now.AddDays(days)));
        var role = Gen.Int[0, 4].Select(i => new[] { null, "owner", "admin", "billing", "viewer" }[i]);
        Gen.Select(scopes, scopes, role, Gen.Select(tenant, tenant), Gen.Select(expiry, expiry)).Sample((has, asks, asksRole, tenants, expiries) =>
        {
            var maker = Maker(has) with { TenantId = tenants.Item1, ExpiresAt = expiries.Item1 > Now ? expiries.Item1 : null };
            var request = new TokenRequest
            {
                Name = "new",
                Role = asksRole,
                Scopes = asksRole is null ? asks : null,
                TenantId = tenants.Item2,
                ExpiresAt = expiries.Item2,
            };

            var (token, _) = request.ToToken(maker, Now);

            return token is null
                || (token.Scopes.IsSubsetOf(maker.Scopes)
                    && (maker.TenantId is null || token.TenantId == maker.TenantId)
                    && (maker.ExpiresAt is null || token.ExpiresAt <= maker.ExpiresAt)
                    && (token.ExpiresAt is null || token.ExpiresAt > Now));
        });
    }

    [Fact]
    public void Token_OfANarrowedMaker_IsNarrowedToo()
    {
        var (token, _) = new TokenRequest { Name = "new", Scopes = ["costs:read"] }.ToToken(Maker("costs:read") with { TenantId = Acme }, Now);

        Assert.Equal(Acme, token!.TenantId);
    }

    [Fact]
    public void Token_OfAMakerThatExpires_ExpiresWithIt()
    {
        var end = Now.AddDays(1);

        var (token, _) = new TokenRequest { Name = "new", Scopes = ["costs:read"] }.ToToken(Maker("costs:read") with { ExpiresAt = end }, Now);

        Assert.Equal(end, token!.ExpiresAt);
    }

    [Fact]
    public void Request_WithSeveralMistakes_NamesThemAll()
    {
        var request = new TokenRequest { Name = "a\nb", Scopes = ["costs:fly"], TenantId = Other, ExpiresAt = Now };

        var (_, error) = request.ToToken(Maker("costs:read") with { TenantId = Acme }, Now);

        Assert.Equal(["name", "scopes", "tenantId", "expiresAt"], error!.Errors!.Select(e => e.Field));
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("owner", "costs:read")]
    [InlineData("Owner", null)]
    [InlineData("root", null)]
    [InlineData("0", null)]
    public void Request_WithoutExactlyOneOfRoleAndScopes_Is400(string? role, string? scope)
    {
        var request = new TokenRequest { Name = "new", Role = role, Scopes = scope is null ? null : [scope] };

        var (_, error) = request.ToToken(Maker([.. AdminScopes.All]), Now);

        Assert.Equal(400, error!.Status);
        Assert.Equal("role", error.Param);
    }

    [Fact]
    public void Expiry_AtNow_IsRefused_AndAfterIt_IsNot()
    {
        var request = new TokenRequest { Name = "new", Scopes = ["costs:read"], ExpiresAt = Now };

        Assert.NotNull(request.ToToken(Maker("costs:read"), Now).Error);
        Assert.Null(request.ToToken(Maker("costs:read"), Now.AddTicks(-1)).Error);
    }

    [Fact]
    public void Owner_WhenExpiredOrNarrowed_IsNoOwner()
    {
        var owner = Maker([.. AdminScopes.All]) with { Role = AdminRole.Owner, ExpiresAt = Now };

        Assert.True(owner.IsOwner(Now.AddTicks(-1)));
        Assert.False(owner.IsOwner(Now));
        Assert.False((owner with { ExpiresAt = null, TenantId = Acme }).IsOwner(Now));
    }
}

using System.Security.Claims;
using Dvara.Domain;
using Microsoft.AspNetCore.Authorization;

namespace Dvara.Server.Hosting.AdminApi;

/// <summary>Who calls the admin API: an admin token, its scopes, and the tenant it may be narrowed to.</summary>
internal sealed record AdminActor(string Id, string Name, IReadOnlySet<string> Scopes, TenantId? TenantId)
{
    /// <summary>A narrowed token sees its tenant alone; everything else is as if it did not exist.</summary>
    public bool MaySee(TenantId? tenant) => TenantId is null || TenantId == tenant;

    public bool Has(string scope) => Scopes.Contains(scope);
}

/// <summary>The policy of an admin route: one scope. A route without one does not exist (a test walks them).</summary>
internal sealed record ScopeRequirement(string Scope) : IAuthorizationRequirement;

internal static class AdminAuthorization
{
    /// <summary>The authentication scheme of the admin API, built by the AdminTokens slice.</summary>
    public const string Scheme = "AdminToken";

    public static TBuilder RequireScope<TBuilder>(this TBuilder builder, string scope)
        where TBuilder : IEndpointConventionBuilder =>
        AdminScopes.All.Contains(scope)
            ? builder.RequireAuthorization(policy => policy.AddAuthenticationSchemes(Scheme).AddRequirements(new ScopeRequirement(scope)))
            : throw new ArgumentException($"There is no scope {scope}.", nameof(scope));

    public static AdminActor Admin(this HttpContext httpContext) =>
        httpContext.User.Identities.OfType<AdminIdentity>().FirstOrDefault()?.Admin
        ?? throw new InvalidOperationException($"{httpContext.Request.Path} needs RequireScope(…) before its actor can be read.");
}

/// <summary>Carries the actor through ASP.NET's authentication.</summary>
internal sealed class AdminIdentity(AdminActor actor) : ClaimsIdentity(AdminAuthorization.Scheme)
{
    public AdminActor Admin => actor;
}

internal sealed class ScopeHandler : AuthorizationHandler<ScopeRequirement>
{
    protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, ScopeRequirement requirement)
    {
        if (context.User.Identities.OfType<AdminIdentity>().Any(i => i.Admin.Has(requirement.Scope)))
        {
            context.Succeed(requirement);
        }

        return Task.CompletedTask;
    }
}

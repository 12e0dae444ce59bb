using System.Security.Claims;
using System.Text.Encodings.Web;
using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;

namespace Dvara.Server.AdminTokens;

/// <summary>
/// Reads <c>Authorization: Bearer</c> on admin routes. Fails closed: a token that cannot be looked up lets nobody in. Every call reads the
/// table, so a deleted token stops with the deletion; the data plane never comes here.
/// </summary>
internal sealed class AdminTokenHandler(
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory loggers, UrlEncoder encoder, AdminTokenStore store, TokenUses uses, TimeProvider clock)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, loggers, encoder)
{
    private const string BearerScheme = "Bearer ";

    private ApiError _refusal = ApiError.Unauthorized(
        "admin_token_required", "The admin API needs an admin token: send Authorization: Bearer dvara_pat_….");

    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        var header = Request.Headers.Authorization.ToString();
        if (!header.StartsWith(BearerScheme, StringComparison.OrdinalIgnoreCase))
        {
            return AuthenticateResult.NoResult();
        }

        var token = await store.FindByHashAsync(AdminToken.Hash(header[BearerScheme.Length..].Trim()), Context.RequestAborted);
        if (token is null)
        {
            return Refuse("invalid_admin_token", "No such admin token.");
        }

        if (token.IsExpired(clock.GetUtcNow()))
        {
            return Refuse("admin_token_expired", $"The admin token expired at {Instants.Format(token.ExpiresAt!.Value)}.");
        }

        uses.Note(token.Id);
        return AuthenticateResult.Success(new(new ClaimsPrincipal(new AdminIdentity(token.ToActor())), Scheme.Name));
    }

    protected override Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        Response.Headers.WWWAuthenticate = "Bearer";
        return _refusal.ExecuteAsync(Context);
    }

    protected override Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        var admin = Context.Admin();
        var missing = Context.GetEndpoint()!.Metadata.GetOrderedMetadata<AuthorizationPolicy>()
            .SelectMany(policy => policy.Requirements)
            .OfType<ScopeRequirement>()
            .First(requirement => !admin.Has(requirement.Scope));
        return ApiError.MissingScope(missing.Scope).ExecuteAsync(Context);
    }

    private AuthenticateResult Refuse(string code, string message)
    {
        _refusal = ApiError.Unauthorized(code, message);
        return AuthenticateResult.Fail(message);
    }
}

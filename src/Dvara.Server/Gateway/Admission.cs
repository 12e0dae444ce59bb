using Dvara.Providers;
using Dvara.Server.ApiKeys;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Metering;
using Dvara.Server.Pricing;
using Dvara.Server.Routing;
using Dvara.Server.Tenants;

namespace Dvara.Server.Gateway;

/// <summary>
/// Decides from one request's head and body whether it may be dispatched, and where to. Fails closed: a key that cannot be looked up
/// and a journal that cannot write let nothing in.
/// </summary>
internal sealed class Admission(
    ApiKeyCache keys, BadKeyLimiter badKeys, ModelRouter router, PriceBookState prices, Journal journal, GatewayOptions options, TimeProvider clock)
{
    /// <summary>(1) Whose key is this, and may it be used for <paramref name="scope"/> now?</summary>
    public async ValueTask<(ApiKeyIdentity? Caller, ApiError? Error)> AuthenticateAsync(HttpContext httpContext, string? scope)
    {
        var (key, error) = CallerKey.Read(httpContext.Request.Headers);
        if (error is not null)
        {
            return (null, badKeys.Answer(httpContext, error));
        }

        if (!ApiKeyFormat.IsWellFormed(key))
        {
            return (null, badKeys.Answer(httpContext, GatewayErrors.InvalidKey));
        }

        ApiKeyIdentity? caller;
        try
        {
            caller = await keys.FindAsync(key!, httpContext.RequestAborted);
        }
        catch (ApiKeysUnavailableException)
        {
            return (null, GatewayErrors.KeysUnavailable);
        }

        return caller is null ? (null, badKeys.Answer(httpContext, GatewayErrors.InvalidKey)) : (caller, Judge(caller, scope));
    }

    /// <summary>
    /// Whose key a request carries that is refused whoever asks; null for none that is known, and where nobody can say. No key, and what
    /// is malformed, reach neither grain nor database here either.
    /// </summary>
    public async ValueTask<ApiKeyIdentity?> FindCallerAsync(HttpContext httpContext)
    {
        if (CallerKey.Read(httpContext.Request.Headers).Key is not { } key)
        {
            return null;
        }

        try
        {
            return await keys.FindAsync(key, httpContext.RequestAborted);
        }
        catch (ApiKeysUnavailableException)
        {
            return null;
        }
    }

    /// <summary>(2) What does the request say, and where does it go?</summary>
    public async ValueTask<(AdmittedCall? Call, string? Model, ApiError? Error)> ReadAsync(HttpContext httpContext, ApiKeyIdentity caller, Endpoint endpoint)
    {
        var request = httpContext.Request;
        if (!journal.Admits)
        {
            return (null, null, GatewayErrors.LedgerUnavailable);
        }

        var (body, error) = await RequestBody.ReadAsync(request, options.MaxBodyBytes, httpContext.RequestAborted);
        if (error is not null)
        {
            return (null, null, error);
        }

        if (!RequestReader.Read(body.Span, endpoint, out var facts, out var problem)
            || !TagCascade.TryMerge(facts!.Tags, request.Headers[TagCascade.Header], caller, out var tags, out problem))
        {
            return (null, null, GatewayErrors.Of(problem!));
        }

        var route = default(ModelRoute);
        error = Allow(caller, facts.Model) ?? Resolve(facts.Model, out route) ?? Price(caller, route);
        if (error is not null)
        {
            return (null, facts.Model, error);
        }

        var call = new AdmittedCall
        {
            RequestId = RequestIdMiddleware.Of(httpContext),
            Caller = caller,
            Endpoint = endpoint,
            Facts = facts,
            Body = body,
            Route = route,
            Tags = tags,
            IdempotencyKey = Bounded(request.Headers["Idempotency-Key"]),
        };
        return (call, facts.Model, null);
    }

    public static bool Allows(ApiKeyIdentity caller, string model)
    {
        if (caller.Models.Length == 0)
        {
            return true;
        }

        foreach (var allowed in caller.Models)
        {
            if (allowed.EndsWith('*') ? model.AsSpan().StartsWith(allowed.AsSpan(0, allowed.Length - 1), StringComparison.Ordinal) : allowed == model)
            {
                return true;
            }
        }

        return false;
    }

    private ApiError? Judge(ApiKeyIdentity caller, string? scope)
    {
        if (caller.TenantStatus == TenantStatus.Closed || caller.Status == ApiKeyStatus.Revoked)
        {
            return GatewayErrors.KeyRevoked;
        }

        // Half-open: valid strictly before its expiry. A rotated key expires with its overlap.
        if (caller.Status == ApiKeyStatus.Expired || caller.ExpiresAt <= clock.GetUtcNow())
        {
            return GatewayErrors.KeyExpired;
        }

        if (caller.TenantStatus == TenantStatus.Suspended)
        {
            return GatewayErrors.TenantSuspended;
        }

        return scope is null || caller.Scopes.Length == 0 || caller.Scopes.Contains(scope) ? null : GatewayErrors.MissingScope(scope);
    }

    private static ApiError? Allow(ApiKeyIdentity caller, string model) => Allows(caller, model) ? null : GatewayErrors.ModelNotAllowed(model);

    private ApiError? Resolve(string model, out ModelRoute route) => router.Resolve(model, WireFormat.OpenAi, out route, out var claimant) switch
    {
        null => null,
        RouteProblem.ModelNotFound => GatewayErrors.ModelNotFound(model),
        RouteProblem.NotConfigured => GatewayErrors.ProviderNotConfigured(claimant!, VariableOf(claimant!)),
        _ => GatewayErrors.WrongFormat(claimant!),
    };

    private ApiError? Price(ApiKeyIdentity caller, ModelRoute route)
    {
        var blocks = caller.TenantMetadata.TryGetValue(TenantMetadata.UnpricedPolicy, out var policy) && policy == "block";
        return blocks && prices.Current.Find(new(caller.TenantId), route.Provider.Id, route.Model, clock.GetUtcNow()) is null
            ? GatewayErrors.UnpricedModel(route.Provider.Id, route.Model)
            : null;
    }

    private static string VariableOf(string provider) =>
        KnownProvider.All.TryGetValue(provider, out var known) ? known.Variable + "_API_KEY" : "Dvara:Mock:Enabled";

    /// <summary>Recorded, never judged: what is too long to keep is not kept.</summary>
    private static string? Bounded(string? value) => value is { Length: > 0 and <= 255 } ? value : null;
}

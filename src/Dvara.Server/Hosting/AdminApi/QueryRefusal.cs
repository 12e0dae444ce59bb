namespace Dvara.Server.Hosting.AdminApi;

/// <summary>What a call does not take must not look as if it had been obeyed: <c>dryRun</c> on a DELETE that knows none.</summary>
internal static class QueryRefusal
{
    /// <summary>For a route that has no query parameters; one that has some asks an <see cref="AdminQuery"/> of its own.</summary>
    public static RouteHandlerBuilder WithoutQuery(this RouteHandlerBuilder route) => route.AddEndpointFilter((context, next) =>
        new AdminQuery(context.HttpContext.Request.Query).Error() is { } error ? new(error) : next(context));
}

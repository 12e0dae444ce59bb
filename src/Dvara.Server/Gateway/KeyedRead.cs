using Dvara.Server.ApiKeys;
using Dvara.Server.Audit;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Gateway;

/// <summary>A read of the data plane: who asks, the answer, and the event of it, since no charge will tell of it.</summary>
internal sealed class KeyedRead(Admission admission, RequestLog requests)
{
    /// <param name="httpContext">The request.</param>
    /// <param name="path">The contract's, for the event.</param>
    /// <param name="scope">What the key must have; null: nothing beyond being valid.</param>
    /// <param name="answer">Made for a key that may ask.</param>
    public async Task<IResult> RunAsync(HttpContext httpContext, string path, string? scope, Func<ApiKeyIdentity, ValueTask<IResult>> answer)
    {
        var (caller, error) = await admission.AuthenticateAsync(httpContext, scope);
        var result = error ?? await answer(caller!);
        if (caller is not null)
        {
            var refusal = result as ApiError;
            var (status, code) = (refusal?.Status ?? StatusCodes.Status200OK, refusal?.Code);
            requests.Record(new(RequestIdMiddleware.Of(httpContext), new(caller.TenantId), new(caller.KeyId), path, status, code));
        }

        return result;
    }
}

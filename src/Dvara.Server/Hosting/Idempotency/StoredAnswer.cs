using System.Text.Json;
using System.Text.Json.Nodes;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Hosting.Idempotency;

/// <summary>An answer as it is kept for replays.</summary>
/// <param name="Status">The HTTP status.</param>
/// <param name="Headers">Those that belong to the answer: Content-Type, Location, ETag.</param>
/// <param name="Body">The bytes, without any secret.</param>
internal sealed record StoredAnswer(int Status, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    // The contract shows secrets under these names only, on top level. By name and not by route: a route that forgot to say so must
    // not write its secret to the database.
    private static readonly string[] SecretMembers = ["key", "token", "secret"];

    private static readonly string[] KeptHeaders = ["Content-Type", "Location", "ETag"];

    public static StoredAnswer Of(HttpResponse response, byte[] body) => new(
        response.StatusCode,
        KeptHeaders.Where(response.Headers.ContainsKey).ToDictionary(name => name, name => response.Headers[name].ToString()),
        response.ContentType?.StartsWith("application/json", StringComparison.OrdinalIgnoreCase) == true ? WithoutSecret(body) : body);

    public async Task WriteAsync(HttpContext httpContext)
    {
        var response = httpContext.Response;
        response.StatusCode = Status;
        response.Headers["Idempotency-Replayed"] = "true";
        foreach (var (name, value) in Headers)
        {
            response.Headers[name] = value;
        }

        await response.Body.WriteAsync(Body, httpContext.RequestAborted);
    }

    private static byte[] WithoutSecret(byte[] body)
    {
        if (body.Length == 0 || JsonNode.Parse(body) is not JsonObject answer)
        {
            return body;
        }

        var removed = SecretMembers.Count(answer.Remove);
        if (removed == 0)
        {
            return body;
        }

        answer["replayed"] = true;
        return JsonSerializer.SerializeToUtf8Bytes(answer, AdminJson.Options);
    }
}

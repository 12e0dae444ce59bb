using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Unicode;
using Dvara.Providers.Requests;

namespace Dvara.Providers;

/// <summary>Reads what the gateway must know of a JSON request in one forward pass, without copying the body.</summary>
public static class RequestReader
{
    /// <summary>False: the request may not go on, and <paramref name="problem"/> is the answer.</summary>
    public static bool Read(
        ReadOnlySpan<byte> body, Endpoint endpoint, [NotNullWhen(true)] out RequestFacts? facts, [NotNullWhen(false)] out RequestProblem? problem)
    {
        (facts, problem) = Read(body, endpoint);
        return facts is not null;
    }

    private static (RequestFacts? Facts, RequestProblem? Problem) Read(ReadOnlySpan<byte> body, Endpoint endpoint)
    {
        if (body.StartsWith("\uFEFF"u8))
        {
            return (null, Invalid("The body begins with a byte order mark; JSON has none."));
        }

        if (!Utf8.IsValid(body))
        {
            return (null, Invalid("The body is not valid UTF-8."));
        }

        var scan = new RequestScan(body, endpoint);
        try
        {
            var facts = scan.Read();
            return (facts, scan.Problem);
        }
        catch (JsonException refused)
        {
            return (null, Invalid($"The body is not valid JSON: line {refused.LineNumber + 1}, byte {refused.BytePositionInLine + 1}."));
        }
        finally
        {
            scan.Dispose();
        }
    }

    private static RequestProblem Invalid(string message) => new(400, ProblemCodes.InvalidJson, null, message);
}

using System.Diagnostics.CodeAnalysis;

namespace Dvara.Providers;

/// <summary>Reads what the gateway must know of a JSON request in one forward pass, without copying the body.</summary>
public static class RequestReader
{
    /// <summary>False: the request may not go on, and <paramref name="problem"/> is the answer.</summary>
    public static bool Read(
        ReadOnlySpan<byte> body, Endpoint endpoint, [NotNullWhen(true)] out RequestFacts? facts, [NotNullWhen(false)] out RequestProblem? problem) =>
        throw new NotImplementedException();
}

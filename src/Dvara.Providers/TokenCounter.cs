namespace Dvara.Providers;

/// <summary>Counts tokens where no provider did. An estimate for every model that is not OpenAI's.</summary>
public static class TokenCounter
{
    /// <summary>Input tokens of a request body that <see cref="RequestReader"/> accepted.</summary>
    public static long CountInput(string model, Endpoint endpoint, ReadOnlySpan<byte> body) => throw new NotImplementedException();

    /// <summary>Tokens of a text in UTF-8.</summary>
    public static long CountText(string model, ReadOnlySpan<byte> utf8) => throw new NotImplementedException();
}

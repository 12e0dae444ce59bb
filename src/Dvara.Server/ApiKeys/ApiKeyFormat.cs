namespace Dvara.Server.ApiKeys;

/// <summary>
/// <c>gw_</c> + base62 of 256 random bits (43 characters) + base62 of the CRC-32 of everything before it (6 characters); imported keys
/// are <c>gw_</c> + 40 lower-case hex. A key that fails this reaches neither grain nor database.
/// </summary>
internal static class ApiKeyFormat
{
    public static bool IsWellFormed(ReadOnlySpan<char> key) => throw new NotImplementedException();
}

namespace Dvara.Providers.Requests;

/// <summary>Caller's text as it may stand in a message.</summary>
internal static class Shown
{
    private const int CharactersMax = 64;

    public static string Short(string text) => text.Length <= CharactersMax ? text : string.Concat(text.AsSpan(0, CharactersMax), "…");
}

namespace Dvara.Server.Hosting;

/// <summary>How the contract, and rows, spell the value of an enumeration: <c>SETTLED</c>.</summary>
internal static class ContractNames
{
    public static string ContractName<T>(this T value)
        where T : struct, Enum => Names<T>.ByValue[value];

    /// <returns>Null for a name that is no value.</returns>
    public static T? Parse<T>(string name)
        where T : struct, Enum => Names<T>.ByName.TryGetValue(name, out var value) ? value : null;

    private static class Names<T>
        where T : struct, Enum
    {
        public static readonly Dictionary<T, string> ByValue = Enum.GetValues<T>().ToDictionary(value => value, value => value.ToString().ToUpperInvariant());

        public static readonly Dictionary<string, T> ByName = ByValue.ToDictionary(entry => entry.Value, entry => entry.Key, StringComparer.Ordinal);
    }
}

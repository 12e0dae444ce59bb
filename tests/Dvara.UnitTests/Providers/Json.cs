using CsCheck;

namespace Dvara.UnitTests.Providers;

/// <summary>JSON in spellings that a parser would not write back.</summary>
internal static class Json
{
    public static readonly Gen<string> Member = Gen.OneOf("model", "metadata", "tags", "usage", "a", "b c");

    public static readonly Gen<string> Value = Gen.Recursive<string>((depth, inner) => depth > 4
        ? Scalar
        : Gen.Frequency(
            (3, Scalar),
            (1, inner.Array[0, 3].Select(items => $"[ {string.Join(" ,", items)}]")),
            (1, inner.Array[0, 3].Select(items => $"{{{string.Join(", ", items.Select((item, i) => $"\"m{i}\" : {item}"))} }}"))));

    private static Gen<string> Scalar => Gen.OneOf(
        "null", "true", "false", "0", "-0.0", "1E+2", "1e999", "12345678901234567890", "\"\"", "\"\\/\"", "\"\\u00e9\"", "\"\\ud83d\\ude00\"", "\"😀\"", "\"}\"");
}

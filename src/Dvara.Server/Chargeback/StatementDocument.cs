using System.Security.Cryptography;

namespace Dvara.Server.Chargeback;

/// <summary>What a statement can be downloaded as.</summary>
/// <param name="Extension">Of the file, and its name in rows and routes.</param>
/// <param name="ContentType">Of the answer.</param>
internal sealed record DocumentFormat(string Extension, string ContentType)
{
    public static readonly DocumentFormat Pdf = new("pdf", "application/pdf");

    public static readonly DocumentFormat Csv = new("csv", "text/csv; charset=utf-8");

    /// <summary>The API's representation.</summary>
    public static readonly DocumentFormat Json = new("json", "application/json");
}

/// <summary>A statement in one format, as it is kept for ever.</summary>
internal sealed record StatementDocument(DocumentFormat Format, byte[] Bytes)
{
    /// <summary>What <c>sha256sum</c> says of the downloaded file.</summary>
    public string Sha256 { get; } = Digest(Bytes);

    public static string Digest(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}

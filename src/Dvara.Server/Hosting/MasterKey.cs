using System.Security.Cryptography;
using System.Text;

namespace Dvara.Server.Hosting;

/// <summary>The secret of the installation (<c>DVARA_MASTER_KEY</c>, or made at first start). Used only through keys derived from it.</summary>
internal sealed class MasterKey(byte[] secret)
{
    /// <summary>A 32-byte key for one purpose; the same every time.</summary>
    public byte[] Derive(string purpose) =>
        HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, 32, info: Encoding.UTF8.GetBytes("dvara/" + purpose));

    /// <summary>The given key, or the one in <paramref name="file"/>, made there (mode 0600) when there is none.</summary>
    /// <exception cref="SettingsException">The file does not hold a key.</exception>
    public static MasterKey Load(string? given, string file) => new(Encoding.UTF8.GetBytes(
        given ?? SecretFile.ReadOrMake(file, () => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32)))));
}

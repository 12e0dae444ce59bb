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
    /// <exception cref="InvalidOperationException">The given key is shorter than 32 characters.</exception>
    public static MasterKey Load(string? given, string file)
    {
        if (given is not null)
        {
            return given.Length >= 32
                ? new(Encoding.UTF8.GetBytes(given))
                : throw new InvalidOperationException("DVARA_MASTER_KEY is shorter than 32 characters; make one with: openssl rand -hex 32");
        }

        if (!File.Exists(file))
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }

            using var stream = new FileStream(file, options);
            stream.Write(Encoding.ASCII.GetBytes(Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32))));
            stream.Flush(flushToDisk: true);
        }

        return new(Encoding.UTF8.GetBytes(File.ReadAllText(file).Trim()));
    }
}

using System.Text;

namespace Dvara.Server.Hosting;

/// <summary>A secret of the installation in a file of the data folder (mode 0600), made there once and then read at every start.</summary>
internal static class SecretFile
{
    private const int CharsMin = 32;

    /// <param name="file">Where it is.</param>
    /// <param name="make">Gives the secret of a new installation.</param>
    /// <exception cref="SettingsException">What the file holds is too short to be a secret.</exception>
    public static string ReadOrMake(string file, Func<string> make)
    {
        if (!File.Exists(file))
        {
            Write(file, make());
        }

        var secret = File.ReadAllText(file).Trim();
        return secret.Length >= CharsMin
            ? secret
            : throw new SettingsException([$"{file} has {secret.Length} characters. It must have at least {CharsMin}; restore it from a backup, or delete it if nothing was made with it yet."]);
    }

    private static void Write(string file, string secret)
    {
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        // Renamed into place, so that the file is never seen half written.
        var unfinished = file + ".new";
        File.Delete(unfinished);
        using (var stream = new FileStream(unfinished, options))
        {
            stream.Write(Encoding.ASCII.GetBytes(secret + "\n"));
            stream.Flush(flushToDisk: true);
        }

        File.Move(unfinished, file);
    }
}

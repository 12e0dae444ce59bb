namespace Dvara.Server.Storage;

/// <summary>The folder of one node (<c>DVARA_DATA_DIR</c>), held by one process at a time.</summary>
internal sealed class DataDirectory : IDisposable
{
    private readonly FileStream _lock;

    private DataDirectory(string path, FileStream heldLock)
    {
        Path = path;
        _lock = heldLock;
    }

    public string Path { get; }

    public string LedgerFile => File("dvara.db");

    public string JournalFile => File("journal.db");

    public string AdminTokenFile => File("admin-token");

    public string MasterKeyFile => File("master-key");

    /// <summary>Makes the folder where needed and takes its lock, which the kernel gives back when the process ends, however it ends.</summary>
    /// <exception cref="IOException">Another process holds it, or it is no folder.</exception>
    public static DataDirectory Open(string path)
    {
        var full = System.IO.Path.GetFullPath(path);
        if (System.IO.File.Exists(full))
        {
            throw new IOException($"{full} is a file; the data folder must be a folder.");
        }

        Make(full);
        var lockFile = System.IO.Path.Combine(full, "lock");
        try
        {
            return new(full, new FileStream(lockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException exception)
        {
            throw new IOException(
                $"The data folder {full} is in use by another Dvara process. Exactly one may run on it; stop it, or set "
                + "DVARA_DATA_DIR to another folder.",
                exception);
        }
    }

    public void Dispose() => _lock.Dispose();

    /// <summary>For this user alone: it holds what everybody spent. A folder that is there stays as its owner set it up.</summary>
    private static void Make(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private string File(string name) => System.IO.Path.Combine(Path, name);
}

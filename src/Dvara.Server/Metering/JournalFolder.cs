namespace Dvara.Server.Metering;

/// <summary>Whether a folder keeps what is written to it.</summary>
internal static class JournalFolder
{
    // What is written there is gone with the memory, or with the container.
    private static readonly string[] Forgetful = ["tmpfs", "ramfs", "overlay", "overlayfs"];

    /// <exception cref="IOException">The folder is on a file system that forgets, and loss was not accepted.</exception>
    public static void Check(string folder, bool acceptLoss)
    {
        if (FileSystemOf(folder) is { } system && Forgetful.Contains(system) && !acceptLoss)
        {
            throw new IOException(
                $"The data folder {folder} is on {system}, which does not survive a restart: charges would be lost. Set DVARA_DATA_DIR to a "
                + "folder on a disk (in a container: a volume), or accept the loss with DVARA_ACCEPT_LOSS=1.");
        }
    }

    /// <returns>The type of the mount that holds the folder; null where it cannot be told.</returns>
    private static string? FileSystemOf(string folder) => DriveInfo.GetDrives()
        .Where(drive => IsIn(folder, drive.RootDirectory.FullName))
        .MaxBy(drive => drive.RootDirectory.FullName.Length)?.DriveFormat;

    private static bool IsIn(string folder, string mount) =>
        mount == "/" || folder == mount || folder.StartsWith(mount.TrimEnd('/') + "/", StringComparison.Ordinal);
}

using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Dvara.Testing;

/// <summary>
/// A disk that loses what it was given, inside a real gateway process and without a hook in its code: the runtime loads this assembly at
/// start, and SIGUSR1 puts <c>/dev/null</c> under the journal's log. It takes every write and refuses every flush, with EINVAL.
/// </summary>
public static partial class FlushFault
{
    private const PosixSignal Usr1 = (PosixSignal)10;

    private static PosixSignalRegistration? _registration;

    /// <summary>Settings of a process whose journal can be broken.</summary>
    public static Dictionary<string, string?> Settings => new() { ["DOTNET_STARTUP_HOOKS"] = typeof(FlushFault).Assembly.Location };

    internal static void Arm() => _registration = PosixSignalRegistration.Create(Usr1, signal =>
    {
        signal.Cancel = true;
        Break();
    });

    private static void Break()
    {
        using var sink = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        foreach (var open in new DirectoryInfo("/proc/self/fd").EnumerateFiles().Where(file => file.LinkTarget?.EndsWith("/journal.db-wal", StringComparison.Ordinal) == true))
        {
            if (Replace(sink, int.Parse(open.Name, CultureInfo.InvariantCulture)) < 0)
            {
                throw new InvalidOperationException($"{open.LinkTarget} could not be replaced: error {Marshal.GetLastPInvokeError()}.");
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "dup2", SetLastError = true)]
    private static partial int Replace(SafeFileHandle by, int descriptor);
}

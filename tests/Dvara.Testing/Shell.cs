using System.Diagnostics;

namespace Dvara.Testing;

/// <summary>Runs a program to its end.</summary>
public static class Shell
{
    /// <returns>What it wrote to its standard output.</returns>
    /// <param name="folder">Its working folder.</param>
    /// <param name="bound">It is killed, with its children, after that.</param>
    /// <param name="program">Name or path.</param>
    /// <param name="arguments">Passed as they are.</param>
    /// <exception cref="InvalidOperationException">It ended with anything but 0; the message has what it said.</exception>
    public static async Task<string> RunAsync(string folder, TimeSpan bound, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        using var patience = new CancellationTokenSource(bound);
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new InvalidOperationException($"{program} did not end within {bound}.\n{await output}\n{await errors}");
        }

        return process.ExitCode == 0
            ? await output
            : throw new InvalidOperationException($"{program} ended with {process.ExitCode}.\n{await output}\n{await errors}");
    }
}

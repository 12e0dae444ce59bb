using System.Diagnostics;
using System.Text;
using System.Text.RegularExpressions;

namespace Dvara.Testing;

/// <summary>A script that runs until it is told to stop.</summary>
public sealed class ScriptProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();

    public ScriptProcess(string path, IEnumerable<string> arguments, IReadOnlyDictionary<string, string?> environment)
    {
        var start = new ProcessStartInfo(path, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        _process = Process.Start(start)!;
        _process.OutputDataReceived += Keep;
        _process.ErrorDataReceived += Keep;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>Waits until it has said something.</summary>
    /// <exception cref="InvalidOperationException">It ended, or time is over; the message has what it said.</exception>
    public async Task<Match> WaitForAsync(Regex pattern, TimeSpan bound)
    {
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        var started = TimeProvider.System.GetTimestamp();
        while (await poll.WaitForNextTickAsync())
        {
            var said = Output();
            if (pattern.Match(said) is { Success: true } match)
            {
                return match;
            }

            if (_process.HasExited || TimeProvider.System.GetElapsedTime(started) > bound)
            {
                throw new InvalidOperationException($"The script did not say what it should:\n{said}");
            }
        }

        throw new InvalidOperationException("The timer ended.");
    }

    /// <summary>SIGTERM.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> TerminateAsync(TimeSpan bound)
    {
        await Shell.RunAsync("/", bound, "kill", "-TERM", $"{_process.Id}");
        await _process.WaitForExitAsync().WaitAsync(bound);
        return _process.ExitCode;
    }

    public ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        _process.Dispose();
        return ValueTask.CompletedTask;
    }

    private string Output()
    {
        lock (_output)
        {
            return _output.ToString();
        }
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        lock (_output)
        {
            _output.AppendLine(line.Data);
        }
    }
}

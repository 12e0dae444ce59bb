using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Dvara.Testing;

/// <summary>A gateway as a process of its own, to be killed.</summary>
public sealed partial class GatewayProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();

    private GatewayProcess(Process process) => _process = process;

    public Uri BaseAddress { get; private set; } = null!;

    /// <summary>Carries the bootstrap admin token.</summary>
    public HttpClient Admin { get; } = new() { Timeout = TimeSpan.FromMinutes(1) };

    /// <summary>Everything it printed so far.</summary>
    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>Memory of the process that is in RAM.</summary>
    public long ResidentBytes
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64;
        }
    }

    /// <summary>Starts one and waits until it takes traffic.</summary>
    /// <param name="dataDirectory">Its data folder; may have been another process's.</param>
    /// <param name="settings">Settings beyond the defaults, by their contract names.</param>
    public static async Task<GatewayProcess> StartAsync(string dataDirectory, IReadOnlyDictionary<string, string?> settings)
    {
        // A script that runs the tests in the background has them ignore Ctrl-C, and a child inherits that.
        var start = new ProcessStartInfo("env", ["--default-signal=INT", "dotnet", Path.Combine(AppContext.BaseDirectory, "Dvara.Server.dll")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["ASPNETCORE_URLS"] = "http://127.0.0.1:0";
        start.Environment["DVARA_DATA_DIR"] = dataDirectory;
        start.Environment["DVARA_ADMIN_TOKEN"] = GatewayEnvironment.AdminToken;
        start.Environment["DVARA_SILO_PORT"] = "0";
        start.Environment["DVARA_ACCEPT_LOSS"] = "1";
        foreach (var (name, value) in settings)
        {
            start.Environment[name.Replace(":", "__", StringComparison.Ordinal)] = value;
        }

        var gateway = new GatewayProcess(Process.Start(start)!);
        gateway.Listen();
        await gateway.WaitUntilReadyAsync();
        return gateway;
    }

    /// <summary>SIGKILL: no handler runs, nothing is flushed.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>SIGSTOP: frozen, as by a machine that pauses, until <see cref="Resume"/>.</summary>
    public void Freeze() => Signal(19);

    /// <summary>SIGCONT.</summary>
    public void Resume() => Signal(18);

    /// <summary>True when the process has ended, whyever.</summary>
    public bool HasExited => _process.HasExited;

    /// <summary>SIGTERM, as a service manager sends it.</summary>
    /// <returns>The exit code.</returns>
    public Task<int> TerminateAsync(CancellationToken cancellationToken) => EndAsync(15, cancellationToken);

    /// <summary>SIGINT, as Ctrl-C sends it.</summary>
    /// <returns>The exit code.</returns>
    public Task<int> InterruptAsync(CancellationToken cancellationToken) => EndAsync(2, cancellationToken);

    /// <summary>SIGUSR1: the journal's disk refuses every flush from now on. Of a process that runs with <see cref="FlushFault.Settings"/>.</summary>
    public void BreakFlushes() => Signal(10);

    /// <summary>Waits until it has printed this.</summary>
    public Task<Match> WaitForAsync([StringSyntax(StringSyntaxAttribute.Regex)] string pattern) => WaitForAsync(new Regex(pattern));

    /// <summary>Waits for a process that ends by itself.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> WaitForExitAsync(TimeSpan patience)
    {
        await _process.WaitForExitAsync().WaitAsync(patience);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        Admin.Dispose();
        if (!_process.HasExited)
        {
            await KillAsync();
        }

        _process.Dispose();
    }

    private async Task<int> EndAsync(int signal, CancellationToken cancellationToken)
    {
        Signal(signal);
        await _process.WaitForExitAsync(cancellationToken);
        return _process.ExitCode;
    }

    private void Signal(int signal)
    {
        if (SendSignal(_process.Id, signal) != 0)
        {
            throw new InvalidOperationException($"Signal {signal} could not be sent: error {Marshal.GetLastPInvokeError()}.");
        }
    }

    private void Listen()
    {
        DataReceivedEventHandler keep = (_, line) =>
        {
            lock (_output)
            {
                _output.AppendLine(line.Data);
            }
        };
        _process.OutputDataReceived += keep;
        _process.ErrorDataReceived += keep;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    private async Task WaitUntilReadyAsync()
    {
        // It listens on a port that the kernel chose, and says so when it takes traffic.
        var ready = await WaitForAsync(ReadyPattern());
        BaseAddress = new Uri(ready.Groups[1].Value);
        Admin.BaseAddress = BaseAddress;
        Admin.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", GatewayEnvironment.AdminToken);
    }

    private async Task<Match> WaitForAsync(Regex pattern)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (await poll.WaitForNextTickAsync(patience.Token))
        {
            if (pattern.Match(Output) is { Success: true } match)
            {
                return match;
            }

            if (_process.HasExited)
            {
                // Only this waits for the rest of what it printed.
                await _process.WaitForExitAsync(patience.Token);
                throw new InvalidOperationException($"The gateway ended with {_process.ExitCode} before it said {pattern}:\n{Output}");
            }
        }

        throw new InvalidOperationException("The timer ended.");
    }

    [GeneratedRegex(@"Gateway +(http://\S+)/v1 [\s\S]*?Data ")]
    private static partial Regex ReadyPattern();

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int SendSignal(int process, int signal);
}

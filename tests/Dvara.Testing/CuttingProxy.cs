using System.Net;
using System.Net.Sockets;

namespace Dvara.Testing;

/// <summary>
/// Stands between a silo and PostgreSQL and, when told to, cuts a connection right after it has passed a COMMIT on: the server commits, and
/// the silo never hears of it.
/// </summary>
public sealed class CuttingProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly int _target;
    private readonly Task _accepting;
    private int _armed;
    private int _cuts;

    /// <param name="target">The server's port on the loopback.</param>
    public CuttingProxy(int target)
    {
        _target = target;
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Connections cut so far.</summary>
    public int Cuts => Volatile.Read(ref _cuts);

    /// <summary>The next commits are cut, this many.</summary>
    public void CutCommits(int count) => Volatile.Write(ref _armed, count);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Stop();
        await _accepting;
        _stopping.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                _ = PassAsync(await _listener.AcceptTcpClientAsync(_stopping.Token));
            }
            catch (Exception exception) when (exception is OperationCanceledException or SocketException)
            {
                return;
            }
        }
    }

    private async Task PassAsync(TcpClient client)
    {
        using var server = new TcpClient { NoDelay = true };
        using (client)
        {
            try
            {
                client.NoDelay = true;
                await server.ConnectAsync(IPAddress.Loopback, _target, _stopping.Token);
                await Task.WhenAny(
                    CopyAsync(client.GetStream(), server.GetStream(), ShouldCut),
                    CopyAsync(server.GetStream(), client.GetStream(), _ => false));
            }
            catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException)
            {
                // One side is gone; the other is closed with it.
            }
        }
    }

    private async Task CopyAsync(NetworkStream from, NetworkStream to, Func<ReadOnlyMemory<byte>, bool> cut)
    {
        var buffer = new byte[64 * 1024];
        int read;
        while ((read = await from.ReadAsync(buffer, _stopping.Token)) > 0)
        {
            await to.WriteAsync(buffer.AsMemory(0, read), _stopping.Token);
            if (cut(buffer.AsMemory(0, read)))
            {
                Interlocked.Increment(ref _cuts);
                return;
            }
        }
    }

    private bool ShouldCut(ReadOnlyMemory<byte> sent)
    {
        if (Volatile.Read(ref _armed) <= 0 || sent.Span.IndexOf("COMMIT"u8) < 0)
        {
            return false;
        }

        return Interlocked.Decrement(ref _armed) >= 0;
    }
}

using System.Net;
using System.Net.Sockets;

namespace Dvara.Server.Hosting;

/// <summary>Ports of this machine that nobody listens on.</summary>
internal static class Ports
{
    // Below those that systems give to outgoing connections (32768 and up on Linux, 49152 elsewhere): one of these could be taken by any
    // connection before it is listened on.
    private const int First = 15_000;
    private const int Count = 17_000;

    private static int _last = Random.Shared.Next(Count);

    /// <summary>A port that is free, and that this process has not been given before.</summary>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public static int Free()
    {
        for (var i = 0; i < Count; i++)
        {
            var port = First + (int)((uint)Interlocked.Increment(ref _last) % Count);
            if (IsFree(port))
            {
                return port;
            }
        }

        throw new InvalidOperationException($"No port from {First} to {First + Count - 1} is free.");
    }

    public static bool IsFree(int port)
    {
        try
        {
            using var probe = new TcpListener(IPAddress.Loopback, port);
            probe.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

namespace Dvara.Server.Gateway;

/// <summary>
/// Stands between the client's connection and the forwarder: when the client leaves, an answer whose usage would be lost is drained
/// within bounds instead of being cut. While it is attached, <c>HttpContext.RequestAborted</c> means "stop the call upstream".
/// </summary>
internal sealed class ClientWatch : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly HttpContext _httpContext;
    private readonly CancellationToken _clientAborted;
    private readonly CancellationTokenRegistration _registration;
    private readonly DrainGate _drains;
    private readonly bool _drain;

    // A deadline that is set in one step with the look at it: a drain that begins in between would lose its bound.
    private readonly Lock _deadline = new();
    private bool _draining;

    /// <param name="httpContext">The client's request.</param>
    /// <param name="drain">True for whole answers and for models with hidden reasoning; visible streams are cancelled.</param>
    /// <param name="drains">The bounds.</param>
    public ClientWatch(HttpContext httpContext, bool drain, DrainGate drains)
    {
        _httpContext = httpContext;
        _drain = drain;
        _drains = drains;
        _clientAborted = httpContext.RequestAborted;
        httpContext.RequestAborted = _stop.Token;
        _registration = _clientAborted.UnsafeRegister(static watch => ((ClientWatch)watch!).OnClientGone(), this);
    }

    public bool ClientGone => _clientAborted.IsCancellationRequested;

    /// <summary>Ends the call upstream.</summary>
    public CancellationToken Stop => _stop.Token;

    /// <summary>Ends the call after that, unless it is told another time before; the bound of a drain stays.</summary>
    public void StopAfter(TimeSpan deadline)
    {
        lock (_deadline)
        {
            if (!_draining)
            {
                _stop.CancelAfter(deadline);
            }
        }
    }

    public void Dispose()
    {
        _registration.Dispose();
        _httpContext.RequestAborted = _clientAborted;
        if (_draining)
        {
            _drains.Exit();
        }

        _stop.Dispose();
    }

    private void OnClientGone()
    {
        lock (_deadline)
        {
            _draining = _drain && _drains.TryEnter();
            if (_draining)
            {
                _stop.CancelAfter(_drains.Bound);
                return;
            }
        }

        _stop.Cancel();
    }
}

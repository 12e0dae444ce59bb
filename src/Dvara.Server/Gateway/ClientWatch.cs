namespace Dvara.Server.Gateway;

/// <summary>
/// Stands between the client's connection and the forwarder: when the client leaves, an answer that has not begun, or whose usage would be
/// lost, is drained within bounds instead of being cut. While it is attached, <c>HttpContext.RequestAborted</c> means "stop the call
/// upstream". It ends the call, too, when the node has no more time for it.
/// </summary>
internal sealed class ClientWatch : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly HttpContext _httpContext;
    private readonly CancellationToken _clientAborted;
    private readonly CancellationTokenRegistration _onClientGone;
    private readonly CancellationTokenRegistration _onOverdue;
    private readonly DrainGate _drains;

    // Guards the next three, and the deadline that goes by them: a drain that begins between look and deadline would lose its bound.
    private readonly Lock _gate = new();

    // True until the answer shows what it delivers: without its head nobody knows whether the provider did anything, and what it bills.
    private bool _drain = true;
    private bool _draining;
    private bool _answers;
    private string? _cause;

    /// <param name="httpContext">The client's request.</param>
    /// <param name="drains">The bounds.</param>
    /// <param name="overdue">The node stops and has waited for its calls long enough.</param>
    public ClientWatch(HttpContext httpContext, DrainGate drains, CancellationToken overdue)
    {
        _httpContext = httpContext;
        _drains = drains;
        _clientAborted = httpContext.RequestAborted;
        httpContext.RequestAborted = _stop.Token;
        Overdue = overdue;
        _onClientGone = _clientAborted.UnsafeRegister(static watch => ((ClientWatch)watch!).OnClientGone(), this);
        _onOverdue = overdue.UnsafeRegister(static watch => ((ClientWatch)watch!).OnOverdue(), this);
    }

    public bool ClientGone => _clientAborted.IsCancellationRequested;

    /// <summary>Ends the call upstream.</summary>
    public CancellationToken Stop => _stop.Token;

    /// <summary>Ends the reading of an answer that has begun, not the call: the client is still to be told.</summary>
    public CancellationToken Overdue { get; }

    /// <summary>Why the call is ended from this side, one of <see cref="Outcomes"/>; null: it is not. Of two causes the first.</summary>
    /// <remarks>The tokens are asked as well: whoever else hears of them may come here before this object's own turn.</remarks>
    public string? Cause =>
        Volatile.Read(ref _cause) ?? (ClientGone ? Outcomes.ClientClosed : Overdue.IsCancellationRequested ? Outcomes.GatewayStopped : null);

    /// <summary>Ends the call after that, unless the answer begins before.</summary>
    public void StopAfter(TimeSpan deadline) => Bound(deadline, answers: false);

    /// <summary>
    /// The answer begins: from here on its reading has bounds of its own (<see cref="AnswerBody"/>). The bound of a drain stays.
    /// </summary>
    public void BeginAnswer() => Bound(Timeout.InfiniteTimeSpan, answers: true);

    /// <summary>
    /// The answer is a visible stream, priced by what was delivered: once the client is gone it is cancelled, at once if it is gone already.
    /// </summary>
    public void CutWithoutClient()
    {
        lock (_gate)
        {
            _drain = false;
            if (!_draining)
            {
                return;
            }
        }

        _stop.Cancel();
    }

    public void Dispose()
    {
        _onOverdue.Dispose();
        _onClientGone.Dispose();
        _httpContext.RequestAborted = _clientAborted;
        if (_draining)
        {
            _drains.Exit();
        }

        _stop.Dispose();
    }

    private void Bound(TimeSpan deadline, bool answers)
    {
        lock (_gate)
        {
            _answers = answers;
            if (!_draining)
            {
                _stop.CancelAfter(deadline);
            }
        }
    }

    private void OnClientGone()
    {
        Interlocked.CompareExchange(ref _cause, Outcomes.ClientClosed, null);
        lock (_gate)
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

    private void OnOverdue()
    {
        Interlocked.CompareExchange(ref _cause, Outcomes.GatewayStopped, null);
        lock (_gate)
        {
            if (_answers)
            {
                return;
            }
        }

        _stop.Cancel();
    }
}

using System.Runtime.InteropServices;
using Dvara.Domain;
using Dvara.Server.Hosting;
using Dvara.Server.Storage;

namespace Dvara.Server.Audit;

/// <summary>
/// Remembers, for the audit trail, requests whose key was known and that never became a call: refused ones, and reads of the data plane.
/// The gateway never waits here: an event goes into a bounded buffer that is written once a second, before every read of the trail, and
/// at the stop. Above a rate per tenant, key, path, code and minute requests are only counted, so that a client in a retry loop costs a
/// row a second at most. A crash loses at most the last second; requests that reached a provider are in the ledger instead and are never lost.
/// </summary>
internal sealed partial class RequestLog(Database database, TimeProvider clock, ILogger<RequestLog> logger)
    : PeriodicService(TimeSpan.FromSeconds(1), "Requests could not be written to the audit trail; they are kept and tried again.", logger)
{
    /// <summary>Requests of one tenant, key, path and code that get an event of their own in a minute; the rest of the minute is one event.</summary>
    public const int SinglesPerMinute = 10;

    /// <summary>Events that may wait for the writer; about 2 MB. Beyond it requests are counted as lost, and the trail says so.</summary>
    public const int PendingMax = 10_000;

    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _flushing = new(1);
    private readonly Dictionary<Source, int> _seenThisMinute = [];
    private readonly List<Request> _pending = [];
    private readonly Dictionary<Source, Request> _counted = [];
    private DateTimeOffset _minute;
    private long _lost;

    // Events taken from the buffer and not written yet; only the holder of _flushing touches it.
    private List<AuditEvent> _unwritten = [];

    /// <summary>Notes one request; takes about a microsecond and never waits.</summary>
    /// <param name="request">The id that the client got as <c>x-request-id</c>.</param>
    /// <param name="tenant">The key's tenant.</param>
    /// <param name="key">The key that asked.</param>
    /// <param name="endpoint">The contract's path, for example <c>/v1/chat/completions</c>; never one that a client made up, since requests are counted by it.</param>
    /// <param name="model">The model as the client wrote it; null where the refusal came before it was read.</param>
    /// <param name="status">The HTTP status answered.</param>
    /// <param name="code">The error code answered, for example <c>model_not_allowed</c>; null: it was not refused.</param>
    /// <param name="path">The path as the client wrote it, where <paramref name="endpoint"/> does not say it.</param>
    public void Record(
        RequestId request, TenantId tenant, ApiKeyId key, string endpoint, string? model, int status, string? code, string? path = null)
    {
        var now = clock.GetUtcNow();
        var source = new Source(tenant, key, endpoint, code);
        lock (_gate)
        {
            var noted = new Request(request, source, model, path, status, now);
            if (IsBelowRate_NeedsLock(source, now) && _pending.Count < PendingMax)
            {
                _pending.Add(noted);
            }
            else
            {
                Count_NeedsLock(noted);
            }
        }
    }

    /// <summary>Writes what is waiting; when it ends, a read of the trail sees every request recorded before the call.</summary>
    public async Task FlushAsync(CancellationToken cancellationToken)
    {
        await _flushing.WaitAsync(cancellationToken);
        try
        {
            // What an earlier flush could not write goes first; the buffer behind it is bounded.
            await WriteAsync();
            _unwritten = Take();
            await WriteAsync();
        }
        finally
        {
            _flushing.Release();
        }
    }

    protected override Task FinishAsync(CancellationToken cancellationToken) => FlushAsync(cancellationToken);

    public override void Dispose()
    {
        _flushing.Dispose();
        base.Dispose();
    }

    protected override Task TickAsync(CancellationToken stoppingToken) => FlushAsync(stoppingToken);

    private bool IsBelowRate_NeedsLock(Source source, DateTimeOffset now)
    {
        var minute = new DateTimeOffset(now.UtcTicks - (now.UtcTicks % TimeSpan.TicksPerMinute), TimeSpan.Zero);
        if (minute != _minute)
        {
            _minute = minute;
            _seenThisMinute.Clear();
        }

        if (_seenThisMinute.Count >= PendingMax && !_seenThisMinute.ContainsKey(source))
        {
            return false;
        }

        ref var seen = ref CollectionsMarshal.GetValueRefOrAddDefault(_seenThisMinute, source, out _);
        seen = Math.Min(seen + 1, SinglesPerMinute + 1);
        return seen <= SinglesPerMinute;
    }

    private void Count_NeedsLock(Request request)
    {
        if (_counted.TryGetValue(request.Source, out var first))
        {
            _counted[request.Source] = first with { Count = first.Count + 1, LastAt = request.At };
        }
        else if (_counted.Count < PendingMax)
        {
            _counted.Add(request.Source, request with { Id = null, LastAt = request.At });
        }
        else
        {
            _lost++;
        }
    }

    private List<AuditEvent> Take()
    {
        lock (_gate)
        {
            List<AuditEvent> events = [.. _pending.Select(r => r.ToEvent()), .. _counted.Values.Select(r => r.ToEvent())];
            if (_lost > 0)
            {
                events.Add(AuditEvent.BySystem(clock, AuditTypes.RequestsLost, null, new { count = _lost }));
                LogLost(logger, _lost);
            }

            _pending.Clear();
            _counted.Clear();
            _lost = 0;
            return events;
        }
    }

    private async Task WriteAsync()
    {
        if (_unwritten.Count == 0)
        {
            return;
        }

        // Not cancelled: a caller that went away must not lose what was taken from the buffer.
        await database.WriteAsync(WriteLane.Admin, transaction => AuditTrail.AppendAsync(transaction, _unwritten), CancellationToken.None);
        _unwritten = [];
    }

    [LoggerMessage(1, LogLevel.Error, "{Count} requests are missing from the audit trail: more came than could be written.")]
    private static partial void LogLost(ILogger logger, long count);

    private readonly record struct Source(TenantId Tenant, ApiKeyId Key, string Endpoint, string? Code);

    private sealed record Request(RequestId? Id, Source Source, string? Model, string? Path, int Status, DateTimeOffset At)
    {
        private const int CharsMax = 256;

        public long Count { get; init; } = 1;

        /// <summary>Set where several requests are one event.</summary>
        public DateTimeOffset? LastAt { get; init; }

        public AuditEvent ToEvent() => AuditEvent.Of(
            At,
            AuditTypes.GatewayRequest,
            Source.Tenant,
            Source.Key.ToString(),
            Id?.ToString(),
            new
            {
                outcome = Source.Code is null ? "answered" : "refused",
                Source.Code,
                Status,
                Source.Endpoint,
                path = Bounded(Path),
                model = Bounded(Model),
                apiKeyId = Source.Key,
                Count,
                LastAt,
            });

        private static string? Bounded(string? text) => text is { Length: > CharsMax } ? text[..CharsMax] : text;
    }
}

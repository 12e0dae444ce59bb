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
    private readonly List<Entry> _pending = [];
    private readonly Dictionary<Source, Entry> _counted = [];
    private DateTimeOffset _minute;
    private long _lost;

    // Events taken from the buffer and not written yet; only the holder of _flushing touches it.
    private List<AuditEvent> _unwritten = [];

    /// <summary>Notes one request; takes about a microsecond and never waits.</summary>
    public void Record(NotedRequest request)
    {
        var noted = new Entry(request, clock.GetUtcNow());
        lock (_gate)
        {
            if (IsBelowRate_NeedsLock(noted) && _pending.Count < PendingMax)
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

    private bool IsBelowRate_NeedsLock(Entry entry)
    {
        var source = entry.Source;
        var minute = new DateTimeOffset(entry.At.UtcTicks - (entry.At.UtcTicks % TimeSpan.TicksPerMinute), TimeSpan.Zero);
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

    private void Count_NeedsLock(Entry entry)
    {
        if (_counted.TryGetValue(entry.Source, out var first))
        {
            _counted[entry.Source] = first with { Count = first.Count + 1, LastAt = entry.At };
        }
        else if (_counted.Count < PendingMax)
        {
            _counted.Add(entry.Source, entry with { LastAt = entry.At });
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

    private sealed record Entry(NotedRequest Request, DateTimeOffset At)
    {
        private const int CharsMax = 256;

        public Source Source { get; } = new(Request.Tenant, Request.Key, Request.Endpoint, Request.Code);

        public long Count { get; init; } = 1;

        /// <summary>Set where several requests are one event; none of their ids is its own.</summary>
        public DateTimeOffset? LastAt { get; init; }

        public AuditEvent ToEvent() => AuditEvent.Of(
            At,
            AuditTypes.GatewayRequest,
            Request.Tenant,
            Request.Key.ToString(),
            LastAt is null ? Request.Id.ToString() : null,
            new
            {
                outcome = Request.Code is null ? "answered" : "refused",
                Request.Code,
                Request.Status,
                Request.Endpoint,
                path = Bounded(Request.Path),
                model = Bounded(Request.Model),
                apiKeyId = Request.Key,
                Count,
                LastAt,
            });

        private static string? Bounded(string? text) => text is { Length: > CharsMax } ? text[..CharsMax] : text;
    }
}

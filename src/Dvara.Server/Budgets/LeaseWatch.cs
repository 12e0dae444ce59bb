using System.Runtime.ExceptionServices;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Server.Hosting;
using Dvara.Server.Metering;
using Dvara.Server.Storage;

namespace Dvara.Server.Budgets;

/// <summary>
/// Looks at this journal's leases twice a second: confirms them, takes over what others corrected, fetches ahead what will be used, gives back
/// what is not, and tells of thresholds that no single batch saw being crossed.
/// </summary>
internal sealed class LeaseWatch(
    Database database, Journal journal, CapBookState caps, CapLeases leases, LeaseAsker asker, TimeProvider clock, ILogger<LeaseWatch> logger)
    : PeriodicService(TimeSpan.FromMilliseconds(500), "The leases of caps could not be read; what is granted can be used for 45 s, and no more is given back.", logger)
{
    /// <summary>A slice that nothing was held from for so long is given back.</summary>
    private static readonly TimeSpan IdleAfter = TimeSpan.FromSeconds(5);

    /// <summary>For how long somebody's need counts, after they said so.</summary>
    private static readonly TimeSpan ShortFor = TimeSpan.FromSeconds(2);

    /// <summary>The next period's lease is fetched at most so long before it begins, each silo at a moment of its own.</summary>
    private static readonly TimeSpan NextWithin = TimeSpan.FromMinutes(1);

    /// <summary>Longer than any attempt runs.</summary>
    private static readonly TimeSpan KeptAfterEnd = TimeSpan.FromHours(2);

    /// <summary>Asks that are under way at once; those of one tenant share a transaction.</summary>
    private const int AtATimeMax = 32;

    private readonly double _jitter = Random.Shared.NextDouble();
    private long _ticked;

    protected override async Task TickAsync(CancellationToken stoppingToken)
    {
        var now = clock.GetUtcNow();
        var usableUntil = LeaseAsker.UsableUntil();
        var elapsed = (long)Ticks.Since(_ticked).TotalMilliseconds;
        _ticked = Ticks.Now;
        var rows = await database.LookUpAsync(connection => LeaseStore.ReadOwnAsync(connection, journal.Id, now - KeptAfterEnd), stoppingToken);
        List<Func<Task>> looks =
        [
            .. from row in rows
               let cap = caps.Current.Find(row.Cap)
               where cap is not null
               select (Func<Task>)(() => LookAtAsync(cap, row, usableUntil, now, elapsed, stoppingToken)),
            .. from lease in leases.All
               where lease.Cap.Enabled && IsNextDue(lease, now)
               select (Func<Task>)(() => asker.AskAsync(leases.Next(lease), Usd.Zero, Usd.Zero, Ahead(lease), mayLower: false)),
        ];
        leases.Forget(now - KeptAfterEnd);
        await RunAllAsync(looks, stoppingToken);
    }

    /// <summary>A thousand leases are looked at within a tick, and one that fails does not keep the others from it.</summary>
    private static async Task RunAllAsync(IEnumerable<Func<Task>> looks, CancellationToken stoppingToken)
    {
        ExceptionDispatchInfo? failed = null;
        var options = new ParallelOptions { MaxDegreeOfParallelism = AtATimeMax, CancellationToken = stoppingToken };
        await Parallel.ForEachAsync(looks, options, async (look, _) =>
        {
            try
            {
                await look();
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                failed = ExceptionDispatchInfo.Capture(exception);
            }
        });
        failed?.Throw();
    }

    private async Task LookAtAsync(Cap cap, LeaseRow row, long usableUntil, DateTimeOffset now, long elapsed, CancellationToken stoppingToken)
    {
        await TellAsync(cap, row, now, stoppingToken);
        if (leases.Find(row.Cap, row.Period.From) is not { } lease)
        {
            // Left by the last process: nothing is held from it, so what is free goes back.
            if (row.State.Granted > row.State.Settled + row.State.Exposed && row.Period.To > now)
            {
                await asker.AskAsync(leases.Of(cap, row.Period), Usd.Zero, Usd.Zero, Usd.Zero, mayLower: true);
            }

            return;
        }

        if (cap != lease.Cap)
        {
            // Made by a request that still saw the old book.
            lease.Cap = cap;
            lease.Expire();
        }

        lease.Slice.Apply(row.State, usableUntil, isAnswer: false);
        lease.Known = new(new(cap.Limit, row.Spent, row.Held, row.Exposed));
        lease.OnChange();
        await NoteUseAsync(lease, stoppingToken);
        lease.MeasureRate(elapsed);
        if (!lease.Period.Contains(now))
        {
            return;
        }

        var isIdle = !cap.Enabled || Ticks.Since(lease.LastHeld) > IdleAfter;
        // By the row: what an ask gave up whose answer was lost is free here no more, and missed elsewhere.
        if (row.State.Granted > lease.Slice.Used && (isIdle || row.ShortAt > now - ShortFor))
        {
            await asker.AskAsync(lease, Usd.Zero, Usd.Zero, Usd.Zero, mayLower: true);
        }
        else if (!isIdle && lease.Slice.Free.PicoUsd < Ahead(lease).PicoUsd / 2)
        {
            await asker.AskAsync(lease, Usd.Zero, Usd.Zero, Ahead(lease), mayLower: false);
        }
    }

    /// <summary>Two writers can each be short of a threshold that their charges together have crossed.</summary>
    private async Task TellAsync(Cap cap, LeaseRow row, DateTimeOffset now, CancellationToken stoppingToken)
    {
        var isSoftDue = cap.Enabled && !row.SoftTold && cap.SoftThreshold is { } soft && row.Spent >= soft;
        var isHardDue = cap.Enabled && !row.HardTold && row.Spent >= cap.Limit;
        if (isSoftDue || isHardDue)
        {
            await database.WriteAsync(WriteLane.Grant, transaction => CapEvents.TellDueAsync(transaction, [(cap, row.Period)], now), stoppingToken);
        }
    }

    private async Task NoteUseAsync(CapLease lease, CancellationToken stoppingToken)
    {
        var (refused, beyond) = (lease.Refused, lease.Beyond);
        if (refused > 0 || beyond != lease.BeyondTold)
        {
            await database.WriteAsync(
                WriteLane.Grant, transaction => LeaseStore.NoteUseAsync(transaction, new(lease.Cap.Id, lease.Period.From, journal.Id), refused, beyond), stoppingToken);
            lease.OnRefusedTold(refused);
            lease.BeyondTold = beyond;
        }
    }

    private bool IsNextDue(CapLease lease, DateTimeOffset now) =>
        lease.Period.To > now && lease.Period.To - (NextWithin * _jitter) <= now && lease.Rate > Usd.Zero && leases.Find(lease.Cap.Id, lease.Period.To) is not { IsSeeded: true };

    private static Usd Ahead(CapLease lease) => new(lease.Rate.PicoUsd * BudgetGate.AheadSeconds);
}

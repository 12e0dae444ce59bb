using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Server.Metering;

namespace Dvara.Server.Budgets;

/// <summary>
/// Asks for leases: the tenant's grain, and where that does not answer the database itself, because the row decides. Fails closed: without an
/// answer nothing is granted.
/// </summary>
internal sealed partial class LeaseAsker(
    IGrainFactory grains, Lending lending, Journal journal, LedgerWriter ledger, ILogger<LeaseAsker> logger)
{
    /// <summary>
    /// How long a lease that nobody confirms may be held from. A journal can be written off when its silo has not been heard of for 60 s, and it
    /// says so every 10 s: by then nothing is held from it any more.
    /// </summary>
    public static readonly TimeSpan UsableFor = TimeSpan.FromSeconds(45);

    private static readonly TimeSpan GrainPatience = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan DatabasePatience = TimeSpan.FromSeconds(2);

    /// <summary>Asks of one process; the process' own count is above it, so that a new one's come after the last one's.</summary>
    private const int NumberBits = 40;

    private long _asked;

    /// <summary>Asks, and lets the slice know.</summary>
    /// <param name="lease">Whose slice it is.</param>
    /// <param name="need">One attempt's hold; zero: none.</param>
    /// <param name="least">The smallest hold that would do.</param>
    /// <param name="ahead">What more could be used soon.</param>
    /// <param name="mayLower">True: what is free may be taken back.</param>
    /// <returns>Null: nobody could answer. With it, the smallest hold that was asked for, by whoever asked.</returns>
    public async Task<(LeaseAnswer? Answer, Usd Least)> AskAsync(CapLease lease, Usd need, Usd least, Usd ahead, bool mayLower)
    {
        var (answer, asked) = lease.AskOnce(least, () => RunAsync(lease, need, least, ahead, mayLower));
        return (await answer, asked);
    }

    private async Task<LeaseAnswer?> RunAsync(CapLease lease, Usd need, Usd least, Usd ahead, bool mayLower)
    {
        // The caller has a lock.
        await Task.Yield();
        if (!await TrySeedAsync(lease))
        {
            return null;
        }

        var number = (ledger.Epoch << NumberBits) + Interlocked.Increment(ref _asked);
        var (used, spent, keep) = lease.Slice.Ask(number, mayLower);
        // From the question on: a process that is frozen before it hears the answer has no right to it any longer than that.
        var usableUntil = UsableUntil();
        var answer = await AnswerAsync(lease.Cap, new()
        {
            Cap = lease.Cap.Id.Value,
            Start = lease.Period.From,
            End = lease.Period.To,
            Journal = journal.Id.Value,
            Number = number,
            Used = Row(used),
            Spent = Row(spent),
            Keep = Row(keep),
            Need = Row(need),
            Least = Row(least),
            Ahead = Row(ahead),
        });
        if (answer is { IsInForce: true })
        {
            lease.Slice.Apply(answer.State, answer.IsCovered ? usableUntil : Slice.Never, isAnswer: true);
            lease.Known = new(answer.Figures);
            if (answer.Outcome == GrantOutcome.Granted)
            {
                lease.OnChange();
            }
        }

        return answer;
    }

    /// <summary>Monotonic timestamp until which what was read now may be used.</summary>
    public static long UsableUntil() => Ticks.In(UsableFor);

    /// <summary>A slice begins where the ledger has all that was charged before it; from then on it counts by itself.</summary>
    private async Task<bool> TrySeedAsync(CapLease lease)
    {
        if (lease.IsSeeded)
        {
            return true;
        }

        using var patience = new CancellationTokenSource(DatabasePatience);
        try
        {
            await ledger.FlushAsync(patience.Token);
            return lease.IsSeeded = true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task<LeaseAnswer?> AnswerAsync(Cap cap, LeaseQuestion question)
    {
        try
        {
            var grain = grains.GetGrain<ITenantBudgetGrain>(cap.TenantId?.ToString() ?? ITenantBudgetGrain.Platform);
            return await grain.GrantAsync(question).WaitAsync(GrainPatience);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // Whatever ails the grain, the row decides.
            LogGrainSilent(logger, exception, question.Cap);
        }

        using var patience = new CancellationTokenSource(DatabasePatience);
        try
        {
            return (await lending.GrantAsync([question], patience.Token).WaitAsync(DatabasePatience))[0];
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // Whatever it is, a ledger that was restored and does not know this journal yet included.
            LogNobodyAnswers(logger, exception, question.Cap);
            return null;
        }
    }

    /// <summary>More than a row holds is as good as the most that it holds: no limit is that high.</summary>
    private static long Row(Usd amount) => (long)Int128.Clamp(amount.PicoUsd, 0, long.MaxValue);

    [LoggerMessage(1, LogLevel.Debug, "The grain of cap {Cap} did not answer in time; the database is asked.")]
    private static partial void LogGrainSilent(ILogger logger, Exception exception, Guid cap);

    [LoggerMessage(2, LogLevel.Warning, "Nobody could say what is left of cap {Cap}; calls that need it are refused with 503 until somebody can.")]
    private static partial void LogNobodyAnswers(ILogger logger, Exception exception, Guid cap);
}

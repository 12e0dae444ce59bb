using Dvara.Domain;

namespace Dvara.UnitTests.Budgets;

/// <summary>Turns generated steps into what a world can do at that moment; a step that makes no sense is none.</summary>
internal sealed class BudgetDay
{
    private const int RunningMax = 8;
    private const int WireMax = 8;
    private const int ReadingsMax = 4;

    /// <summary>A changed limit is known everywhere after so many steps.</summary>
    private const int NoticedWithin = 12;

    private readonly CapWorld _world = new(Usd.FromPico(600), silos: 3);
    private readonly List<JournalFile> _writtenOff = [];
    private int _unnoticed;

    /// <summary>Attempts that have ended, one way or another.</summary>
    public int Exits { get; private set; }

    public void Take(Step step)
    {
        _world.Now++;
        var silo = _world.Silos[step.Silo];
        var amount = Usd.FromPico(step.Amount);
        // Now and then something of the last period.
        var period = step.Choice % 8 == 0 && _world.Periods.Count > 1 ? _world.Periods[^2] : _world.Current;
        if (silo.IsUp)
        {
            TakeUp(step, silo, period, amount);
        }
        else
        {
            TakeDown(step, silo);
        }

        TakeAnywhere(step, period, amount);
        if (_unnoticed > 0 && --_unnoticed == 0)
        {
            NoticeAll();
        }
    }

    /// <summary>Whatever runs ends, whatever is down comes back, whatever is written is read.</summary>
    public void Close()
    {
        foreach (var silo in _world.Silos)
        {
            if (!silo.IsUp)
            {
                _world.Restart(silo);
            }

            while (silo.Journal.Running.Count > 0)
            {
                _world.End(silo, silo.Journal.Running[0], silo.Journal.Running[0].Hold);
            }

            while (silo.Untold.Count > 0)
            {
                _world.Tell(silo);
            }

            _world.Ship(silo.Journal, silo.Journal.Unshipped);
        }

        _writtenOff.ForEach(_world.Replay);
        _world.Wire.ForEach(_world.Deliver);
        NoticeAll();
        _world.CheckDrained();
    }

    private void TakeUp(Step step, Silo silo, PeriodRows period, Usd amount)
    {
        switch (step.Act)
        {
            case Act.Call when silo.Journal.Running.Count < RunningMax:
                if (_world.TryHold(silo, period, amount) is null)
                {
                    _world.Fetch(silo, period, amount, LeastOf(step), AheadOf(step));
                    _world.TryHold(silo, period, amount);
                }

                break;
            case Act.Hold when silo.Journal.Running.Count < RunningMax:
                _world.TryHold(silo, period, amount);
                break;
            case Act.End when silo.Journal.Running.Count > 0:
                Exits++;
                End(silo, silo.Journal.Running[step.Choice % silo.Journal.Running.Count], step);
                break;
            case Act.End when step.Choice % 10 == 0:
                _world.EndLate(silo, period, amount);
                break;
            case Act.Tell:
                _world.Tell(silo);
                break;
            case Act.Read when silo.Readings.Count < ReadingsMax:
                _world.Read(silo, period);
                break;
            case Act.Apply when silo.Readings.Count > 0:
                var reading = silo.Readings[step.Choice % silo.Readings.Count];
                silo.Readings.Remove(reading);
                _world.Apply(reading);
                break;
            case Act.Ask when !silo.Awaited.ContainsKey(period):
                var isReturn = step.Choice % 3 == 0;
                _world.Ask(silo, period, isReturn ? Usd.Zero : amount, LeastOf(step), AheadOf(step), mayLower: step.Choice % 2 == 0);
                break;
            case Act.Answer:
                _world.Answer(silo, period);
                break;
            case Act.Abandon:
                silo.Awaited.Remove(period);
                break;
            case Act.Crash:
                Exits += silo.Journal.Running.Count;
                _world.Crash(silo);
                break;
            case Act.Notice:
                _world.Notice(silo);
                break;
        }
    }

    private void TakeDown(Step step, Silo silo)
    {
        switch (step.Act)
        {
            case Act.Restart:
                _world.Restart(silo);
                break;
            case Act.WriteOff:
                _writtenOff.Add(_world.WriteOff(silo));
                break;
        }
    }

    private void TakeAnywhere(Step step, PeriodRows period, Usd amount)
    {
        switch (step.Act)
        {
            case Act.Ship:
                _world.Ship(_world.Silos[step.Silo].Journal, step.Choice % 4);
                break;
            case Act.Deliver when _world.Wire.Count > 0:
                var sent = _world.Wire[step.Choice % _world.Wire.Count];
                _world.Deliver(sent);
                // Every other one comes once more, or many times.
                if (step.Amount % 2 == 0 || _world.Wire.Count > WireMax)
                {
                    _world.Wire.Remove(sent);
                }

                break;
            case Act.Replay when _writtenOff.Count > 0:
                _world.Replay(_writtenOff[step.Choice % _writtenOff.Count]);
                break;
            case Act.SetLimit:
                SetLimit(step);
                break;
            case Act.Resolve:
                Resolve(step, period, amount);
                break;
            case Act.Correct:
                Correct(step, period, amount);
                break;
            case Act.NextPeriod when step.Choice % 5 == 0:
                _world.OpenPeriod(amount);
                break;
            case Act.Tick:
                _world.Now += step.Amount;
                break;
        }
    }

    /// <summary>Nothing, less than is spent, or a little more.</summary>
    private void SetLimit(Step step)
    {
        var spent = _world.Current.Spent;
        _world.SetLimit((step.Choice % 15) switch
        {
            0 => Usd.Zero,
            1 => new(spent.PicoUsd / 2),
            var more => spent + Usd.FromPico(250 * more),
        });
        _unnoticed = NoticedWithin;
    }

    private void End(Silo silo, Attempt attempt, Step step)
    {
        var below = Usd.FromPico(attempt.Hold.ToRowPicoUsd() * step.Amount / 120);
        Usd? cost = (step.Choice % 10) switch
        {
            0 => null,
            1 => Usd.Zero,
            2 => attempt.Hold,
            3 => attempt.Hold + Usd.FromPico(step.Amount / 4),
            _ => below,
        };
        _world.End(silo, attempt, cost);
    }

    private void Resolve(Step step, PeriodRows period, Usd amount)
    {
        var exposed = period.Leases.SelectMany(lease => lease.Value.Exposures.Select(attempt => (lease.Key, attempt))).ToList();
        if (exposed.Count > 0)
        {
            var (journal, attempt) = exposed[step.Choice % exposed.Count];
            _world.Resolve(period, journal, attempt, amount);
        }
    }

    private void Correct(Step step, PeriodRows period, Usd amount)
    {
        var (journal, lease) = period.Leases.ElementAtOrDefault(step.Choice % Math.Max(period.Leases.Count, 1));
        if (lease is not null)
        {
            // Down to nothing at most.
            _world.Correct(period, journal, step.Silo == 0 ? amount : new(-Int128.Min(lease.Settled.PicoUsd, amount.PicoUsd)));
        }
    }

    private void NoticeAll() => Array.ForEach(_world.Silos, _world.Notice);

    private static Usd LeastOf(Step step) => Usd.FromPico(step.Choice % 2 == 0 ? step.Amount : step.Amount / 2);

    private static Usd AheadOf(Step step) => Usd.FromPico(step.Choice % 3 * 40);
}

internal enum Act
{
    Call, Hold, End, Tell, Ship, Read, Apply, Ask, Deliver, Answer, Abandon, Crash, Restart, WriteOff, Replay, SetLimit, Notice, Resolve, Correct,
    NextPeriod, Tick,
}

/// <summary>What happens next; which silo, amount and choice it is about, where it is about any.</summary>
internal readonly record struct Step(Act Act, int Silo, int Amount, int Choice)
{
    public override string ToString() => $"{Act}({Silo},{Amount},{Choice})";
}

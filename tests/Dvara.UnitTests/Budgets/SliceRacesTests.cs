using Dvara.Domain;
using Dvara.Domain.Budgets;
using Xunit;

namespace Dvara.UnitTests.Budgets;

/// <summary>
/// Two silos share a cap of 100, all of which the first has. Whatever the order of what happens next, what must always hold does after each
/// step, as <see cref="CapWorld"/> checks, and in the end nothing has leaked.
/// </summary>
public sealed class SliceRacesTests
{
    /// <summary>An ask whose answer is lost arrives late or twice, after the silo has asked again, and rows are read at any moment.</summary>
    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public void LostAsk_ThatArrivesAnyTime(bool firstMayLower, bool secondMayLower) =>
        Assert.Equal(3_360, Interleavings.RunAll(() =>
        {
            var race = new Race();
            var lost = race.World.Ask(race.Ours, race.Period, Pico(5), Pico(5), mayLower: firstMayLower);
            SentAsk? second = null;
            Reading? reading = null;
            return race.Of(
                [
                    () =>
                    {
                        race.World.Deliver(lost);
                        race.World.Deliver(lost);
                    },
                ],
                [
                    () => second = race.World.Ask(race.Ours, race.Period, Pico(20), Pico(20), mayLower: secondMayLower),
                    () => race.World.Deliver(second!),
                    race.TakeAnswer,
                ],
                [() => reading = race.World.Read(race.Ours, race.Period), () => race.World.Apply(reading!)],
                [race.HoldAllThatIsFree],
                [race.OthersTakeAllTheyGet]);
        }));

    /// <summary>A silo fetches ahead while calls go on, and rows that were read before are applied after.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void FetchingAhead_WhileCallsGoOn(bool mayLower) =>
        Assert.Equal(15_120, Interleavings.RunAll(() =>
        {
            var race = new Race();
            var call = race.World.TryHold(race.Ours, race.Period, Pico(60))!;
            SentAsk? ask = null;
            Reading? reading = null;
            return race.Of(
                [
                    () => ask = race.World.Ask(race.Ours, race.Period, Pico(50), Pico(50), mayLower: mayLower),
                    () => race.World.Deliver(ask!),
                    race.TakeAnswer,
                ],
                [() => race.World.End(race.Ours, call, Pico(10)), () => race.World.Tell(race.Ours)],
                [() => reading = race.World.Read(race.Ours, race.Period), () => race.World.Apply(reading!)],
                [race.HoldAllThatIsFree],
                [race.OthersTakeAllTheyGet]);
        }));

    /// <summary>A charge is in the journal, in the ledger and in the slice's knowledge at different moments.</summary>
    [Theory]
    [InlineData(10)]
    [InlineData(75)]
    [InlineData(null)]
    public void Settling_WhileItIsShippedReadAndAskedAbout(int? cost) =>
        Assert.Equal(15_120, Interleavings.RunAll(() =>
        {
            var race = new Race();
            var call = race.World.TryHold(race.Ours, race.Period, Pico(60))!;
            SentAsk? ask = null;
            Reading? reading = null;
            return race.Of(
                [() => race.World.End(race.Ours, call, cost is { } known ? Pico(known) : null), () => race.World.Tell(race.Ours)],
                [() => race.World.Ship(race.Ours.Journal, 1)],
                [() => reading = race.World.Read(race.Ours, race.Period), () => race.World.Apply(reading!)],
                [
                    () => ask = race.World.Ask(race.Ours, race.Period, mayLower: true),
                    () => race.World.Deliver(ask!),
                    race.TakeAnswer,
                ],
                [race.OthersTakeAllTheyGet]);
        }));

    /// <summary>Somebody else finds out what an unknown attempt cost, and corrects a charge, while the silo asks and reads.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(10)]
    [InlineData(90)]
    public void ForeignResolution_WhileTheSiloAsksAndReads(int cost) =>
        Assert.Equal(5_040, Interleavings.RunAll(() =>
        {
            var race = new Race();
            var call = race.World.TryHold(race.Ours, race.Period, Pico(60))!;
            race.World.End(race.Ours, call, null);
            race.World.Tell(race.Ours);
            race.World.Ship(race.Ours.Journal, 1);
            SentAsk? ask = null;
            Reading? first = null;
            Reading? second = null;
            return race.Of(
                [
                    () => race.World.Resolve(race.Period, race.Ours.Journal, call, Pico(cost)),
                    () => race.World.Correct(race.Period, race.Ours.Journal, Pico(7)),
                ],
                // Read in one order, applied in the other.
                [
                    () => first = race.World.Read(race.Ours, race.Period),
                    () =>
                    {
                        second = race.World.Read(race.Ours, race.Period);
                        race.World.Apply(second);
                    },
                    () => race.World.Apply(first!),
                ],
                [
                    () => ask = race.World.Ask(race.Ours, race.Period, mayLower: false),
                    () => race.World.Deliver(ask!),
                    race.TakeAnswer,
                ],
                [race.OthersTakeAllTheyGet]);
        }));

    /// <summary>A limit is lowered, and raised again, while calls go on that do not know of it yet.</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void ChangedLimit_WhileCallsGoOn(bool mayLower) =>
        Assert.Equal(10_080, Interleavings.RunAll(() =>
        {
            var race = new Race();
            var call = race.World.TryHold(race.Ours, race.Period, Pico(60))!;
            SentAsk? ask = null;
            return race.Of(
                [
                    () => race.World.SetLimit(Pico(10)),
                    () => race.World.Notice(race.Ours),
                    () => race.World.SetLimit(Pico(100)),
                ],
                [
                    () => ask = race.World.Ask(race.Ours, race.Period, Pico(5), Pico(5), mayLower: mayLower),
                    () => race.World.Deliver(ask!),
                    race.TakeAnswer,
                ],
                [
                    () =>
                    {
                        race.World.End(race.Ours, call, Pico(20));
                        race.World.Tell(race.Ours);
                    },
                ],
                [
                    () =>
                    {
                        race.World.Apply(race.World.Read(race.Ours, race.Period));
                        race.HoldAllThatIsFree();
                    },
                ],
                [race.OthersTakeAllTheyGet]);
        }));

    private static Usd Pico(long amount) => Usd.FromPico(amount);

    /// <summary>A cap of 100 of which the first of two silos has all.</summary>
    private sealed class Race
    {
        public Race()
        {
            World.Fetch(Ours, Period, Pico(100), Pico(100));
        }

        public CapWorld World { get; } = new(Pico(100), silos: 2);

        public Silo Ours => World.Silos[0];

        public PeriodRows Period => World.Current;

        public Scene Of(params Action[][] actors) => new(End, actors);

        public void TakeAnswer()
        {
            World.Answer(Ours, Period);
            HoldAllThatIsFree();
        }

        public void HoldAllThatIsFree()
        {
            if (Ours.SliceOf(Period).Free is var free && free > Usd.Zero)
            {
                World.TryHold(Ours, Period, free);
            }
        }

        public void OthersTakeAllTheyGet()
        {
            var other = World.Silos[1];
            if (World.Fetch(other, Period, Pico(100), Pico(1)) == GrantOutcome.Granted)
            {
                World.TryHold(other, Period, other.SliceOf(Period).Free);
            }
        }

        private void End()
        {
            Array.ForEach(World.Silos, World.Notice);
            foreach (var silo in World.Silos)
            {
                while (silo.Journal.Running.Count > 0)
                {
                    World.End(silo, silo.Journal.Running[0], silo.Journal.Running[0].Hold);
                }

                while (silo.Untold.Count > 0)
                {
                    World.Tell(silo);
                }

                World.Ship(silo.Journal, silo.Journal.Unshipped);
            }

            World.CheckDrained();
        }
    }
}

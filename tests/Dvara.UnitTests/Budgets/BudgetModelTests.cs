using CsCheck;
using Xunit;

namespace Dvara.UnitTests.Budgets;

/// <summary>Silos, a database and a journal each, under any order of everything that can happen to them.</summary>
public sealed class BudgetModelTests
{
    /// <summary>Most of the time calls come and go; the rest is rare, but not for long enough.</summary>
    private static readonly (int Weight, Act Act)[] Weights =
    [
        (90, Act.Call), (16, Act.Hold), (80, Act.End), (80, Act.Tell), (20, Act.Ship), (16, Act.Read), (16, Act.Apply), (16, Act.Ask), (20, Act.Deliver),
        (16, Act.Answer), (4, Act.Abandon), (1, Act.Crash), (6, Act.Restart), (1, Act.WriteOff), (1, Act.Replay), (6, Act.SetLimit), (12, Act.Notice),
        (12, Act.Resolve), (6, Act.Correct), (1, Act.NextPeriod), (6, Act.Tick),
    ];

    private static readonly Gen<Step> AnyStep = Gen.Select(
        Gen.Frequency([.. Weights.Select(weight => (weight.Weight, (IGen<Act>)Gen.Const(weight.Act)))]), Gen.Int[0, 2], Gen.Int[0, 120], Gen.Int[0, 120],
        (act, silo, amount, choice) => new Step(act, silo, amount, choice));

    [Fact]
    public void Spend_InAnyOrderOfEvents_StaysWithinTheLimitButForItsCauses() =>
        AnyStep.Array[1, 400].Sample(
            steps =>
            {
                var day = new BudgetDay();
                Array.ForEach(steps, day.Take);
                day.Close();
            },
            iter: 1_500,
            print: steps => string.Join(' ', steps));

    [Fact]
    public void Money_AfterTenThousandMixedExits_HasNotLeaked() =>
        AnyStep.Array[20_000].Sample(
            steps =>
            {
                var day = new BudgetDay();
                for (var i = 0; day.Exits < 10_000; i++)
                {
                    day.Take(steps[i % steps.Length]);
                }

                day.Close();
            },
            iter: 1);
}

using CsCheck;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Dvara.UnitTests.Storage;

public sealed class DatabaseClockTests
{
    private static readonly DateTimeOffset Start = new(2026, 4, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Clock_GoesByTheDatabase()
    {
        var clock = new DatabaseClock();
        var asked = TimeProvider.System.GetTimestamp();

        clock.SetAnchor(Start.AddYears(10), asked, asked);

        Assert.InRange(clock.GetUtcNow(), Start.AddYears(10), Start.AddYears(10).AddMinutes(1));
        Assert.True(clock.Skew < TimeSpan.FromDays(-365));
    }

    [Fact]
    public void Clock_UnderAnyAnchors_NeverGoesBackwards() =>
        Gen.Int[-100_000, 100_000].Array[1, 50].Sample(jumps =>
        {
            var clock = new DatabaseClock();
            var last = DateTimeOffset.MinValue;
            foreach (var jump in jumps)
            {
                var asked = TimeProvider.System.GetTimestamp();
                clock.SetAnchor(Start.AddMilliseconds(jump), asked, TimeProvider.System.GetTimestamp());
                var now = clock.GetUtcNow();
                Assert.True(now >= last);
                last = now;
            }
        });

    [Theory]
    [InlineData(0, HealthStatus.Healthy)]
    [InlineData(1_500, HealthStatus.Healthy)]
    [InlineData(-1_500, HealthStatus.Healthy)]
    [InlineData(2_500, HealthStatus.Unhealthy)]
    [InlineData(-2_500, HealthStatus.Unhealthy)]
    public async Task Silo_WhoseMachineIsOff_IsNotReady(int offMs, HealthStatus expected)
    {
        var clock = new DatabaseClock();
        var asked = TimeProvider.System.GetTimestamp();
        clock.SetAnchor(TimeProvider.System.GetUtcNow().AddMilliseconds(offMs), asked, asked);
        await using var ledger = await TestLedger.CreateAsync();
        using var anchor = new DatabaseClockAnchor(ledger.Database, clock, NullLogger<DatabaseClockAnchor>.Instance);

        var health = await anchor.CheckHealthAsync(new HealthCheckContext(), TestContext.Current.CancellationToken);

        Assert.Equal(expected, health.Status);
    }

    [Fact]
    public async Task Silo_WhoseMachineGoesOff_SaysSoOnce_AndOnceThatItIsBack()
    {
        var log = new KeptLog<DatabaseClockAnchor>();
        await using var ledger = await TestLedger.CreateAsync();
        using var anchor = new DatabaseClockAnchor(ledger.Database, new DatabaseClock(), log);

        foreach (var offMs in new[] { 0, 2_500, 3_500, -2_500, 1_000, 0, 60_000 })
        {
            var asked = TimeProvider.System.GetTimestamp();
            anchor.SetAnchor(TimeProvider.System.GetUtcNow().AddMilliseconds(offMs), asked, asked);
        }

        Assert.Equal([LogLevel.Warning, LogLevel.Information, LogLevel.Warning], log.Lines.Select(line => line.Level));
        Assert.Equal(["-2.5 s off", "right again", "-60.0 s off"], log.Lines.Select(line => line.Message).Select(Said));

        static string Said(string message) =>
            message.Contains("right again", StringComparison.Ordinal) ? "right again" : message[(message.IndexOf(" is ", StringComparison.Ordinal) + 4)..].Split(" the")[0];
    }

    [Fact]
    public void Clock_ReadByManyThreads_NeverGoesBackwardsForAnyOfThem()
    {
        var clock = new DatabaseClock();
        Parallel.For(0, 8, thread =>
        {
            var last = DateTimeOffset.MinValue;
            for (var i = 0; i < 20_000; i++)
            {
                if (i % 1000 == 0)
                {
                    var asked = TimeProvider.System.GetTimestamp();
                    clock.SetAnchor(Start.AddMilliseconds((thread * 37) + (i % 7)), asked, asked);
                }

                var now = clock.GetUtcNow();
                Assert.True(now >= last);
                last = now;
            }
        });
    }
}

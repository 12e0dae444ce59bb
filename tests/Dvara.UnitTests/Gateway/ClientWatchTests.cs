using Dvara.Server.Gateway;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Dvara.UnitTests.Gateway;

public sealed class ClientWatchTests
{
    [Theory]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void Overdue_EndsTheCall_UnlessItsAnswerHasBegun(bool answers, bool stops)
    {
        using var overdue = new CancellationTokenSource();
        using var watch = new ClientWatch(new DefaultHttpContext(), new DrainGate(new GatewayOptions()), overdue.Token);
        watch.StopAfter(TimeSpan.FromDays(1));
        if (answers)
        {
            watch.BeginAnswer();
        }

        Assert.Null(watch.Cause);
        overdue.Cancel();

        Assert.Equal(("gateway_stopped", stops), (watch.Cause, watch.Stop.IsCancellationRequested));
    }

    [Theory]
    [InlineData(true, "client_closed")]
    [InlineData(false, "gateway_stopped")]
    public void Cause_OfTwo_IsTheFirst(bool clientFirst, string cause)
    {
        using var client = new CancellationTokenSource();
        using var overdue = new CancellationTokenSource();
        var httpContext = new DefaultHttpContext { RequestAborted = client.Token };
        using var watch = new ClientWatch(httpContext, new DrainGate(new GatewayOptions()), overdue.Token);

        (clientFirst ? client : overdue).Cancel();
        (clientFirst ? overdue : client).Cancel();

        Assert.Equal(cause, watch.Cause);
        Assert.True(watch.Stop.IsCancellationRequested);
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 0)]
    public void VisibleStream_IsCutWithoutItsClient_WhicheverComesFirst(bool clientFirst, int drains)
    {
        using var client = new CancellationTokenSource();
        var gate = new DrainGate(new GatewayOptions());
        using var watch = new ClientWatch(new DefaultHttpContext { RequestAborted = client.Token }, gate, CancellationToken.None);

        (clientFirst ? client.Cancel : (Action)watch.CutWithoutClient)();
        Assert.False(watch.Stop.IsCancellationRequested);
        Assert.Equal(drains, gate.Running);
        (clientFirst ? watch.CutWithoutClient : (Action)client.Cancel)();

        Assert.Equal(("client_closed", true), (watch.Cause, watch.Stop.IsCancellationRequested));
    }

    /// <summary>The provider's head arrives and lifts its deadline in the moment in which the client leaves and the drain begins.</summary>
    [Fact]
    public async Task Deadline_LiftedWhileTheClientLeaves_LeavesTheDrainItsBound()
    {
        const int Calls = 20_000;
        var drains = new DrainGate(new GatewayOptions { DrainSeconds = 1, DrainsMax = Calls });
        using var step = new Barrier(2);
        var calls = Enumerable.Range(0, Calls).Select(_ => new CancellationTokenSource()).ToArray();
        var watches = calls.Select(client => new ClientWatch(new DefaultHttpContext { RequestAborted = client.Token }, drains, CancellationToken.None)).ToArray();

        await Task.WhenAll(
            Task.Run(() => EachInStep(i => calls[i].Cancel())),
            Task.Run(() => EachInStep(i => watches[i].BeginAnswer())));

        var stopped = watches.Select(watch => Task.Delay(TimeSpan.FromSeconds(20), watch.Stop).ContinueWith(ended => ended.IsCanceled, TaskScheduler.Default));
        Assert.DoesNotContain(false, await Task.WhenAll(stopped));
        Array.ForEach(watches, watch => watch.Dispose());
        Array.ForEach(calls, call => call.Dispose());
        Assert.Equal(0, drains.Running);

        void EachInStep(Action<int> act)
        {
            for (var i = 0; i < Calls; i++)
            {
                step.SignalAndWait();
                act(i);
            }
        }
    }
}

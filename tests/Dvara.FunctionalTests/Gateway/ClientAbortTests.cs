using System.Text;
using System.Text.Json.Nodes;
using Dvara.Server.Gateway;
using Dvara.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.Gateway;

/// <summary>The client leaves in the middle: what was delivered is charged, and an answer whose usage would be lost is read to its end.</summary>
public sealed class ClientAbortTests : IAsyncLifetime
{
    private readonly TaskCompletionSource _asked = New();
    private readonly TaskCompletionSource _cut = New();
    private readonly TaskCompletionSource _goOn = New();

    private FakeUpstream _upstream = null!;
    private GatewayEnvironment _environment = null!;
    private TestTenant _tenant = null!;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeUpstream.StartAsync();
        var settings = _upstream.Settings;
        settings["Dvara:Gateway:DrainSeconds"] = "1";
        _environment = await GatewayEnvironment.StartAsync(settings);
        _tenant = await TestTenant.CreateAsync(_environment);
    }

    public async ValueTask DisposeAsync()
    {
        _goOn.TrySetResult();
        _tenant.Dispose();
        await _environment.DisposeAsync();
        await _upstream.DisposeAsync();
    }

    [Fact]
    public async Task VisibleStream_IsCancelledUpstream_AndTheDeliveredPartIsEstimated()
    {
        _upstream.Answer = (httpContext, _) => StreamAsync(httpContext, deltas: 3);

        await LeaveAsync("gpt-4o", stream: true, sees: "How");

        await _cut.Task.WaitAsync(Patience);
        var line = await LineAsync();
        Assert.Equal("ESTIMATED", (string?)line["state"]);
        // "Hello", "!", " How": one token each in this model's vocabulary.
        Assert.Equal(3, (int)line["outputTokens"]!);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task VisibleStream_LeftBeforeItsFirstEvent_IsChargedForItsInput_AndHoldsNothing(bool begun)
    {
        var budget = await BudgetAsync();
        _upstream.Answer = (httpContext, _) => SilentStreamAsync(httpContext, begun);

        await LeaveAsync("gpt-4o", stream: true, sees: null);
        if (!begun)
        {
            await DrainsAsync();
            _goOn.SetResult();
        }

        await _cut.Task.WaitAsync(Patience);
        var line = await LineAsync();
        Assert.Equal(("ESTIMATED", 0), ((string?)line["state"], (int)line["outputTokens"]!));
        Assert.True((int)line["inputTokens"]! > 0);
        var usage = await _environment.Admin.UsageAsync(budget);
        Assert.Equal(((decimal)line["totalCostUsd"]!, 0m), ((decimal)usage["spentUsd"]!, (decimal)usage["exposureUsd"]!));
    }

    [Fact]
    public async Task VisibleStream_LeftBeforeTheProviderRefuses_CostsNothing_AndHoldsNothing()
    {
        var budget = await BudgetAsync();
        _upstream.Answer = async (httpContext, _) =>
        {
            _asked.SetResult();
            await GoOnAsync(httpContext);
            httpContext.Response.StatusCode = 500;
        };

        await LeaveAsync("gpt-4o", stream: true, sees: null);
        await DrainsAsync();
        _goOn.SetResult();

        Assert.Equal("FAILED", (string?)(await LineAsync())["state"]);
        Assert.Equal(0m, (decimal)(await _environment.Admin.UsageAsync(budget))["exposureUsd"]!);
    }

    [Fact]
    public async Task HiddenReasoning_IsDrained_AndSettledFromItsUsage()
    {
        _upstream.Answer = (httpContext, _) => StreamAsync(httpContext, deltas: 3);

        await LeaveAsync("o3-mini", stream: true, sees: "How");
        await DrainsAsync();
        _goOn.SetResult();

        var line = await LineAsync();
        Assert.Equal("SETTLED", (string?)line["state"]);
        Assert.Equal(Recorded.CompletionTokens, (int)line["outputTokens"]!);
    }

    [Fact]
    public async Task WholeAnswer_IsDrained_AndSettledFromItsUsage()
    {
        _upstream.Answer = WholeAsync;

        await LeaveAsync("gpt-4o", stream: false, sees: null);
        await DrainsAsync();
        _goOn.SetResult();

        var line = await LineAsync();
        Assert.Equal("SETTLED", (string?)line["state"]);
        Assert.Equal(Recorded.PromptTokens, (int)line["inputTokens"]!);
    }

    [Theory]
    [InlineData("gpt-4o", false, null)]
    [InlineData("gpt-4o", true, null)]
    [InlineData("o3-mini", true, "How")]
    public async Task WhatCannotBeDrainedInTime_IsUnresolved_WithItsLowerBoundApart(string model, bool stream, string? sees)
    {
        _upstream.Answer = sees is not null ? (httpContext, _) => StreamAsync(httpContext, deltas: 3)
            : stream ? (httpContext, _) => SilentStreamAsync(httpContext, begun: false)
            : WholeAsync;

        await LeaveAsync(model, stream, sees);
        await _cut.Task.WaitAsync(Patience);

        var line = await LineAsync();
        Assert.Equal("UNRESOLVED", (string?)line["state"]);
        Assert.Equal("0", line["totalCostUsd"]!.ToString());
    }

    private static TimeSpan Patience => TimeSpan.FromSeconds(60);

    private async Task StreamAsync(HttpContext httpContext, int deltas)
    {
        var whole = Recorded.ChatStream(usage: true);
        var events = whole.Split("\n\n");
        // The first event carries the role; the next ones a word each.
        var first = string.Join("\n\n", events[..(deltas + 1)]) + "\n\n";
        httpContext.Response.ContentType = "text/event-stream";
        await httpContext.Response.WriteAsync(first, httpContext.RequestAborted);
        await httpContext.Response.Body.FlushAsync(httpContext.RequestAborted);
        _asked.SetResult();
        await GoOnAsync(httpContext);
        await httpContext.Response.WriteAsync(whole[first.Length..], httpContext.RequestAborted);
    }

    /// <summary>A stream whose first event never comes; its head at once, or when it may go on.</summary>
    private async Task SilentStreamAsync(HttpContext httpContext, bool begun)
    {
        httpContext.Response.ContentType = "text/event-stream";
        if (begun)
        {
            await httpContext.Response.Body.FlushAsync(httpContext.RequestAborted);
            _asked.SetResult();
        }
        else
        {
            _asked.SetResult();
            await GoOnAsync(httpContext);
            await httpContext.Response.Body.FlushAsync(httpContext.RequestAborted);
        }

        await GoOnAsync(httpContext, Task.Delay(Timeout.InfiniteTimeSpan, httpContext.RequestAborted));
    }

    private async Task WholeAsync(HttpContext httpContext, UpstreamCall call)
    {
        _asked.SetResult();
        await GoOnAsync(httpContext);
        await Recorded.AnswerAsync(httpContext, call);
    }

    private async Task GoOnAsync(HttpContext httpContext, Task? signal = null)
    {
        try
        {
            await (signal ?? _goOn.Task).WaitAsync(httpContext.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            _cut.SetResult();
            throw;
        }
    }

    private Task<JsonObject> BudgetAsync() => _environment.Admin.MakeBudgetAsync(1, new() { ["tenantId"] = _tenant.Id });

    /// <summary>Sends a call and closes the connection: once it has seen that text, or when the provider pauses.</summary>
    private async Task LeaveAsync(string model, bool stream, string? sees)
    {
        using var leave = new CancellationTokenSource();
        var body = new JsonObject
        {
            ["model"] = model,
            ["stream"] = stream,
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = "Hi" }),
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions")
        {
            Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"),
        };
        var call = _tenant.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, leave.Token);
        await _asked.Task.WaitAsync(Patience);
        if (sees is not null)
        {
            using var answer = await call;
            await using var content = await answer.Content.ReadAsStreamAsync(leave.Token);
            var text = "";
            var buffer = new byte[4096];
            while (!text.Contains(sees, StringComparison.Ordinal))
            {
                var read = await content.ReadAsync(buffer, leave.Token);
                Assert.True(read > 0, text);
                text += Encoding.UTF8.GetString(buffer, 0, read);
            }

            await leave.CancelAsync();
            return;
        }

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            using var answer = await call;
            await answer.Content.ReadAsStringAsync(leave.Token);
        });
    }

    private Task DrainsAsync() => Await.TrueAsync(
        () => Task.FromResult(_environment.Services.GetRequiredService<DrainGate>().Running == 1), "the answer to be read on");

    private async Task<JsonObject> LineAsync()
    {
        IReadOnlyList<JsonObject> lines = [];
        await Await.TrueAsync(async () => (lines = await _tenant.CostsAsync()).Count > 0, "the charge");
        return Assert.Single(lines);
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

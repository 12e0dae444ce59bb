using System.ClientModel;
using System.Net;
using System.Text.Json.Nodes;
using Dvara.Testing;
using OpenAI;
using Xunit;

namespace Dvara.FunctionalTests.Clients;

/// <summary>What the official clients, set up by default, make of a budget's refusal: whether they ask again is up to the gateway.</summary>
public sealed class RefusedClientsTests : IAsyncLifetime
{
    private const string Call = """{"model":"gpt-4o","max_tokens":10000,"messages":[{"role":"user","content":"Hi"}]}""";

    private FakeUpstream _upstream = null!;
    private GatewayEnvironment _node = null!;
    private TestTenant _tenant = null!;

    private string BaseUrl => $"{_node.BaseAddress}v1";

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeUpstream.StartAsync();
        _node = await GatewayEnvironment.StartAsync(_upstream.Settings);
        _tenant = await TestTenant.CreateAsync(_node);
    }

    public async ValueTask DisposeAsync()
    {
        _tenant.Dispose();
        await _node.DisposeAsync();
        await _upstream.DisposeAsync();
    }

    [Fact]
    public async Task JavaScript_BudgetThatIsUsedUp_IsAskedOnce()
    {
        await _node.Admin.MakeBudgetAsync(0, new() { ["name"] = "none", ["tenantId"] = _tenant.Id });

        var result = await RunJavaScriptAsync();

        Assert.Equal(
            """{"name":"APIError","status":402,"type":"budget_exceeded","code":"BUDGET_CAP_HARD","budget":"none","retryable":false}""", result.ToJsonString());
        Assert.Equal(1, await RefusalsAsync());
        Assert.Empty(_upstream.Calls);
    }

    [Fact]
    public async Task DotNet_BudgetThatIsUsedUp_IsAskedOnce()
    {
        await _node.Admin.MakeBudgetAsync(0, new() { ["tenantId"] = _tenant.Id });
        var client = new OpenAIClient(new ApiKeyCredential(_tenant.Key), new OpenAIClientOptions { Endpoint = new Uri(BaseUrl) });

        var error = await Assert.ThrowsAsync<ClientResultException>(() => client.GetChatClient("gpt-4o").CompleteChatAsync("Hi"));

        Assert.Equal(402, error.Status);
        Assert.Contains("budget_exceeded: BUDGET_CAP_HARD", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, await RefusalsAsync());
        Assert.Empty(_upstream.Calls);
    }

    /// <summary>Only a call in flight is in the way: the client waits for the second it is told to, asks again and is served.</summary>
    [Fact]
    public async Task JavaScript_BudgetHeldByACallThatRuns_IsAskedAgain()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstream.Answer = async (httpContext, call) =>
        {
            asked.TrySetResult();
            await goOn.Task;
            await Recorded.AnswerAsync(httpContext, call);
        };
        // Room for one such call of up to 0.10 USD.
        await _node.Admin.MakeBudgetAsync(0.15m, new() { ["tenantId"] = _tenant.Id, ["holdWaitMs"] = 0 });
        var running = _tenant.PostAsync("/v1/chat/completions", Call);
        await asked.Task;
        using (var refused = await _tenant.PostAsync("/v1/chat/completions", Call))
        {
            Assert.Equal(HttpStatusCode.PaymentRequired, refused.StatusCode);
            Assert.Equal(["1"], refused.Headers.GetValues("Retry-After"));
            Assert.Equal(["true"], refused.Headers.GetValues("x-should-retry"));
        }

        var client = RunJavaScriptAsync();
        await Await.TrueAsync(async () => await RefusalsAsync() == 2, "the client's first refusal");
        goOn.SetResult();

        Assert.NotNull((string?)(await client)["text"]);
        Assert.Equal(HttpStatusCode.OK, (await running).StatusCode);
        Assert.Equal(2, _upstream.Calls.Count);
    }

    /// <summary>Of the trail: how often the tenant was refused.</summary>
    private async Task<int> RefusalsAsync() =>
        (await _node.Admin.AuditAsync("GATEWAY_REQUEST", _tenant.Id)).Count(e => (string?)e["payload"]!["code"] == "BUDGET_CAP_HARD");

    private Task<JsonNode> RunJavaScriptAsync() => ClientScript.RunAsync("refused.mjs", BaseUrl, _tenant.Key, "gpt-4o");
}

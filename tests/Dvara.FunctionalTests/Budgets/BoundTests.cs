using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>What is held for a call bounds what it is charged, whatever happens until it is sent and whoever it is sent to.</summary>
public sealed class BoundTests : IAsyncLifetime
{
    private readonly StepClock _clock = new(new DateTimeOffset(2026, 5, 6, 12, 0, 0, TimeSpan.Zero));
    private FakeUpstream _upstream = null!;
    private GatewayEnvironment _node = null!;
    private TestTenant _tenant = null!;

    public async ValueTask InitializeAsync()
    {
        _upstream = await FakeUpstream.StartAsync();
        _node = await GatewayEnvironment.StartAsync(
            new Dictionary<string, string?>(_upstream.Settings)
            {
                ["Dvara:Budgets:WaitingMax"] = "1", ["Dvara:Providers:house:BaseUrl"] = $"{_upstream.BaseUrl}", ["Dvara:Providers:house:ApiKey"] = "sk-house",
            },
            _clock);
        _tenant = await TestTenant.CreateAsync(_node);
    }

    public async ValueTask DisposeAsync()
    {
        _tenant.Dispose();
        await _node.DisposeAsync();
        await _upstream.DisposeAsync();
    }

    [Fact]
    public async Task CallThatWaitsWhileItsPriceChanges_IsHeldByThePriceThatItIsChargedBy()
    {
        const string Usage = """{"prompt_tokens":10,"completion_tokens":10,"total_tokens":20}""";
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _upstream.Answer = async (httpContext, call) =>
        {
            asked.TrySetResult();
            await goOn.Task;
            await Recorded.WriteAsync(httpContext, "application/json", Encoding.UTF8.GetBytes(Recorded.Chat(Usage, model: "m")));
        };
        var id = await PriceAsync("openai", outputPerMillionUsd: 1);
        await _node.Admin.MakeBudgetAsync(0.01m, new() { ["tenantId"] = _tenant.Id, ["holdWaitMs"] = 60_000 });
        const string Call = """{"model":"openai/m","max_tokens":9000,"messages":[{"role":"user","content":"Hi"}]}""";

        var running = _tenant.PostAsync("/v1/chat/completions", Call);
        await asked.Task;
        // One may wait: when the other is refused, it does.
        var both = new[] { _tenant.PostAsync("/v1/chat/completions", Call), _tenant.PostAsync("/v1/chat/completions", Call) };
        var first = await Task.WhenAny(both);
        using var change = await _node.Admin.PutAsJsonAsync($"/v1/admin/pricing/{id}", new { inputPerMillionUsd = 0, outputPerMillionUsd = 100 });
        _clock.SetUtcNow(DateTimeOffset.Parse((string)(await change.Content.ReadFromJsonAsync<JsonNode>())!["effectiveFrom"]!, CultureInfo.InvariantCulture));
        goOn.SetResult();

        Assert.Equal(HttpStatusCode.OK, (await running).StatusCode);
        Assert.Equal(HttpStatusCode.PaymentRequired, (await first).StatusCode);
        using var waited = await both.Single(call => call != first);
        var refusal = (string?)(await waited.Content.ReadFromJsonAsync<JsonNode>())!["error"]!["message"];
        Assert.Contains("may cost more than the whole limit", refusal, StringComparison.Ordinal);
        Assert.Single(_upstream.Calls);
    }

    /// <summary>Hosts that know the older name alone would not be bound by the newer one.</summary>
    [Theory]
    [InlineData("house", "\"max_completion_tokens\":16,", "\"max_tokens\":16,\"max_completion_tokens\":16,")]
    [InlineData("house", "\"max_completion_tokens\":16,\"max_tokens\":null,", "\"max_completion_tokens\":16,\"max_tokens\":16,")]
    [InlineData("house", "\"max_completion_tokens\":16,\"max_tokens\":12,", "\"max_completion_tokens\":16,\"max_tokens\":12,")]
    [InlineData("openai", "\"max_completion_tokens\":16,", "\"max_completion_tokens\":16,")]
    public async Task LimitOfTheClient_IsSentUnderAName_ThatTheProviderKnows(string provider, string limit, string sent)
    {
        await PriceAsync(provider, outputPerMillionUsd: 10);
        await _node.Admin.MakeBudgetAsync(1, new() { ["tenantId"] = _tenant.Id });

        using var answer = await _tenant.PostAsync("/v1/chat/completions", Body($"{provider}/m", limit));

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(Body("m", sent), Assert.Single(_upstream.Calls).Text);
    }

    private static string Body(string model, string limit) => $$"""{{{limit}}"model":"{{model}}","messages":[{"role":"user","content":"Hi"}]}""";

    private async Task<string> PriceAsync(string provider, decimal outputPerMillionUsd)
    {
        using var made = await _node.Admin.PostAsJsonAsync("/v1/admin/pricing", new { provider, model = "m", inputPerMillionUsd = 0, outputPerMillionUsd });
        return (string)(await made.Content.ReadFromJsonAsync<JsonNode>())!["id"]!;
    }
}

using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Faults;

/// <summary>A gateway that dies with streams open: their holds stay until somebody says what became of them, under a budget of a key that was rotated too.</summary>
[Collection(Alone.Name)]
public sealed class ExposureTests : IDisposable
{
    private const int Streams = 200;
    private const decimal Hold = 0.05m;
    private const string Price = """{"provider":"openai","model":"dear","inputPerMillionUsd":0,"outputPerMillionUsd":50}""";
    private const string Call = """{"model":"openai/dear","max_tokens":1000,"stream":true,"messages":[{"role":"user","content":"Hi"}]}""";

    private readonly string _data = Directory.CreateTempSubdirectory("dvara-exposure-").FullName;

    public void Dispose() => Directory.Delete(_data, recursive: true);

    [Fact]
    public async Task OpenStreams_OfAKilledGateway_KeepTheCapClosedUntilTheyAreResolved()
    {
        await using var upstream = await FakeUpstream.StartAsync();
        using var open = new CountdownEvent(Streams);
        upstream.Answer = async (httpContext, _) =>
        {
            await Recorded.WriteAsync(httpContext, "text/event-stream", Encoding.UTF8.GetBytes(Recorded.ChatStream(usage: true)[..300]));
            await httpContext.Response.Body.FlushAsync();
            open.Signal();
            await Task.Delay(Timeout.InfiniteTimeSpan, httpContext.RequestAborted);
        };
        var (budget, key) = await DieWithStreamsOpenAsync(upstream, open);

        await using var again = await GatewayProcess.StartAsync(_data, upstream.Settings);
        using var client = ClientOf(again, key);
        var exposed = await again.Admin.UsageAsync(budget);
        using var refused = await client.PostAsync("/v1/chat/completions", new StringContent(Call, Encoding.UTF8, "application/json"));
        var refusal = (await refused.Content.ReadFromJsonAsync<JsonNode>())!["error"]!;

        Assert.Equal((0m, Streams * Hold, 0m), ((decimal)exposed["spentUsd"]!, (decimal)exposed["exposureUsd"]!, (decimal)exposed["remainingUsd"]!));
        Assert.Equal((HttpStatusCode.PaymentRequired, false), (refused.StatusCode, (bool)refusal["budget"]!["retryable"]!));
        Assert.Equal(Streams, upstream.Calls.Count);

        // One of them turns out not to have been billed: exactly its hold is free again.
        var line = (await DrillLoad.ReadLinesAsync(again.Admin, (string)budget["tenantId"]!))[0];
        using var resolved = await again.Admin.PostAsJsonAsync($"/v1/admin/costs/{line["id"]}/resolve", new { billed = false });
        Assert.Equal(HttpStatusCode.OK, resolved.StatusCode);
        Assert.Equal((Streams - 1) * Hold, (decimal)(await again.Admin.UsageAsync(budget))["exposureUsd"]!);
        upstream.Answer = Recorded.AnswerAsync;
        Assert.Equal(HttpStatusCode.OK, await UntilAdmittedAsync(client));
        using var next = await client.PostAsync("/v1/chat/completions", new StringContent(Call, Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.PaymentRequired, next.StatusCode);
    }

    private async Task<(JsonObject Budget, string Key)> DieWithStreamsOpenAsync(FakeUpstream upstream, CountdownEvent open)
    {
        await using var gateway = await GatewayProcess.StartAsync(_data, upstream.Settings);
        using var priced = await gateway.Admin.PostAsync("/v1/admin/pricing", new StringContent(Price, new MediaTypeHeaderValue("application/json")));
        priced.EnsureSuccessStatusCode();
        var (tenant, _) = await DrillLoad.NewKeyAsync(gateway.Admin);
        var old = (string)(await gateway.Admin.GetFromJsonAsync<JsonNode>($"/v1/admin/tenants/{tenant}/keys"))!["items"]![0]!["id"]!;
        var budget = await gateway.Admin.MakeBudgetAsync(Streams * Hold, new() { ["apiKeyId"] = old });
        using var rotated = await gateway.Admin.PostAsync($"/v1/admin/tenants/{tenant}/keys/{old}/rotate", null);
        var key = (string)(await rotated.Content.ReadFromJsonAsync<JsonNode>())!["key"]!;
        using var client = ClientOf(gateway, key);
        var streams = Enumerable.Range(0, Streams).Select(_ => StreamAsync(client)).ToList();
        await Task.Run(() => Assert.True(open.Wait(TimeSpan.FromMinutes(1)), $"{open.CurrentCount} of {Streams} streams did not reach the upstream"));
        await gateway.KillAsync();
        await Task.WhenAll(streams);
        return (budget, key);
    }

    private static HttpClient ClientOf(GatewayProcess gateway, string key)
    {
        var client = new HttpClient { BaseAddress = gateway.BaseAddress };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return client;
    }

    private static async Task StreamAsync(HttpClient client)
    {
        try
        {
            using var answer = await client.PostAsync("/v1/chat/completions", new StringContent(Call, Encoding.UTF8, "application/json"));
            await answer.Content.ReadAsStringAsync();
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            // Its gateway was killed.
        }
    }

    /// <summary>The silo takes the resolution over when it next looks at its leases.</summary>
    private static async Task<HttpStatusCode> UntilAdmittedAsync(HttpClient client)
    {
        HttpStatusCode status = default;
        await Await.TrueAsync(
            async () =>
            {
                using var answer = await client.PostAsync("/v1/chat/completions", new StringContent(Call, Encoding.UTF8, "application/json"));
                return (status = answer.StatusCode) != HttpStatusCode.PaymentRequired;
            },
            "the resolution to be seen");
        return status;
    }
}

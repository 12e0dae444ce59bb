using System.Net;
using System.Text.Json.Nodes;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Budgets;

/// <summary>Four caps match; whichever of them refuses, the other three hold nothing of the call.</summary>
public sealed class SeveralCapsTests
{
    [Fact]
    public async Task Refusal_ByAnyOfFourCaps_LeavesNothingHeldInTheOthers()
    {
        await using var node = await GatewayEnvironment.StartAsync();
        var all = new List<JsonObject>();
        for (var tight = 0; tight < 4; tight++)
        {
            using var tenant = await TestTenant.CreateAsync(node);
            JsonObject[] scopes =
            [
                [],
                new() { ["apiKeyId"] = tenant.KeyId },
                new() { ["tag"] = new JsonObject { ["key"] = "project", ["value"] = "apollo" } },
                new() { ["model"] = "gpt-4o" },
            ];
            for (var i = 0; i < scopes.Length; i++)
            {
                scopes[i]["tenantId"] = tenant.Id;
                scopes[i]["name"] = $"{i}";
                all.Add(await node.Admin.MakeBudgetAsync(i == tight ? 1.5m * MockCall.Cost : 1, scopes[i]));
            }

            using var admitted = await tenant.PostAsync("/v1/chat/completions", MockCall.Tagged);
            Assert.Equal(HttpStatusCode.OK, admitted.StatusCode);
            for (var call = 0; call < 3; call++)
            {
                using var refused = await tenant.PostAsync("/v1/chat/completions", MockCall.Tagged);
                Assert.Equal(HttpStatusCode.PaymentRequired, refused.StatusCode);
                Assert.Equal($"{tight}", (string?)JsonNode.Parse(await refused.Content.ReadAsStringAsync())!["error"]!["budget"]!["name"]);
            }
        }

        // A disabled cap gives back what is free at once: what is still held then is held by a call.
        foreach (var budget in all)
        {
            await node.Admin.ChangeBudgetAsync(budget, new() { ["enabled"] = false });
        }

        foreach (var budget in all)
        {
            await Await.TrueAsync(async () => (decimal)(await node.Admin.UsageAsync(budget))["heldUsd"]! == 0, $"cap {budget["name"]} to hold nothing");
            var usage = await node.Admin.UsageAsync(budget);
            Assert.Equal((MockCall.Cost, 0m), ((decimal)usage["spentUsd"]!, (decimal)usage["exposureUsd"]!));
        }
    }
}

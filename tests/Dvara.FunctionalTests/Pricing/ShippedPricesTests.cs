using System.Net;
using System.Text.Json;
using Dvara.Domain.Pricing;
using Dvara.Server.Pricing;
using Dvara.Server.Pricing.Builtin;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;
using static Dvara.FunctionalTests.Pricing.PricingNode;

namespace Dvara.FunctionalTests.Pricing;

public sealed class ShippedPricesTests
{
    [Fact]
    public async Task Restart_KeepsEveryShippedPrice_AndEveryCustomOne()
    {
        var data = Directory.CreateTempSubdirectory("dvara-test-");
        try
        {
            IReadOnlyList<Price> before;
            await using (var node = await PricingNode.StartAsync(data.FullName))
            {
                await node.PostAsync(Price("gpt-4o", 1));
                await node.PostAsync(Price("gpt-4o", 2));
                before = node.Book.All;
            }

            await using var again = await PricingNode.StartAsync(data.FullName);

            Assert.Equal(before.OrderBy(p => p.Id.Value), again.Book.All.OrderBy(p => p.Id.Value));
            using var trail = await again.Admin.GetAsync("/v1/admin/audit/events?type=PRICING_UPDATED");
            var items = JsonDocument.Parse(await trail.Content.ReadAsStringAsync()).RootElement.GetProperty("items");
            Assert.Equal(3, items.GetArrayLength());
        }
        finally
        {
            data.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task NewerList_ReachesTheBook_LeavesCustomPricesAlone_AndAnOlderOneChangesNothing()
    {
        await using var node = await PricingNode.StartAsync();
        await node.PostAsync(Price("gpt-4.1", 1));
        var shipped = BuiltinPriceList.Load();
        var builtin = new BuiltinPrices(node.Service<Database>(), node.Clock, NullLogger<BuiltinPrices>.Instance);
        var newer = BuiltinPriceList.Of([.. shipped.Drafts.Select(draft => draft with
        {
            InputRate = draft.Model is "gpt-4o" or "gpt-4.1" ? 7_000_000 : draft.InputRate,
            CheckedOn = shipped.CheckedOn.AddDays(1),
        })]);

        await builtin.ApplyAsync(newer, CancellationToken.None);
        await node.Service<ChangeFeed>().CatchUpAsync(CancellationToken.None);

        Assert.Equal(2.5m, node.InputRate("gpt-4o", node.Now.AddMilliseconds(4999)));
        Assert.Equal(7, node.InputRate("gpt-4o", node.Now.AddSeconds(5)));
        Assert.Equal(1, node.InputRate("gpt-4.1", node.Now.AddSeconds(5)));
        await builtin.ApplyAsync(shipped, CancellationToken.None);
        await node.Service<ChangeFeed>().CatchUpAsync(CancellationToken.None);
        Assert.Equal(7, node.InputRate("gpt-4o", node.Now.AddDays(1)));
    }

    [Fact]
    public async Task ChangeOfAnotherNode_ReachesTheBook()
    {
        await using var node = await PricingNode.StartAsync();
        var state = node.Service<PriceBookState>();
        var before = state.Current;

        // Written past this node's own calls, as another node of the cluster would.
        await node.Service<Database>().WriteAsync(
            WriteLane.Admin,
            async transaction =>
            {
                var draft = new PriceDraft { Provider = "openai", Model = "elsewhere", InputRate = 1_000_000, OutputRate = 1 };
                await PriceStore.InsertAsync(transaction, draft.ToVersion(new(Guid.NewGuid()), PriceSource.Custom, node.Now, node.Now));
                await ChangeFeed.AnnounceAsync(transaction, PriceChanges.Topic, "");
            },
            CancellationToken.None);

        await Await.TrueAsync(() => Task.FromResult(!ReferenceEquals(before, state.Current)), "the other node's price");
        Assert.Equal(1, node.InputRate("elsewhere", node.Now));
    }

    [Fact]
    public async Task Book_IsFullWhenTheFirstRequestComes()
    {
        await using var node = await PricingNode.StartAsync();

        Assert.Equal(BuiltinPriceList.Load().Drafts.Count, node.Book.All.Count);
        Assert.Equal(HttpStatusCode.OK, (await node.GetAsync("?source=BUILTIN")).Status);
    }
}

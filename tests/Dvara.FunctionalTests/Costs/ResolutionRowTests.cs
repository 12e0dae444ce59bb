using System.Text;
using Dvara.Domain.Metering;
using Dvara.Server.Costs;
using Dvara.Server.Metering;
using Dvara.Testing;
using Xunit;

namespace Dvara.FunctionalTests.Costs;

public sealed class ResolutionRowTests
{
    private static readonly DateTimeOffset Now = new(2026, 5, 2, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task Row_OfAnyCharge_IsTheCharge()
    {
        await using var ledger = await TestLedger.CreateAsync();
        var charges = SomeCharges.Random(new Random(7), Now.AddDays(-9), Now, 60);
        var bare = SomeCharges.At(Now, "openai", "mistral/odd-name");
        charges.Add(bare with { Intent = bare.Intent with { RequestedModel = "openai/mistral/odd-name", Stream = true, IdempotencyKey = "k" }, ProviderRequestId = "chatcmpl-1" });
        charges.Add(bare with { Intent = bare.Intent with { AttemptId = Dvara.Domain.AttemptId.At(Now), RequestedModel = "mistral/odd-name" } });
        await LedgerSeed.AddAsync(ledger.Database, charges, Now);
        var store = new CostsStore(ledger.Database);

        foreach (var attempt in charges.GroupBy(charge => charge.Intent.AttemptId))
        {
            var rows = await store.FindWholeAsync(attempt.Key, CancellationToken.None);
            Assert.Equal(attempt.Select(Text), rows.Select(row => Text(row.ToCharge())));
        }
    }

    private static string Text(Charge charge) => Encoding.UTF8.GetString(JournalEntry.Encode(charge));
}

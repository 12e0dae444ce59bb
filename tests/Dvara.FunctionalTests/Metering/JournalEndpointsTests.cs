using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dvara.Domain;
using Dvara.FunctionalTests.Costs;
using Dvara.Server.Metering;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dvara.FunctionalTests.Metering;

public sealed class JournalEndpointsTests : IAsyncLifetime
{
    private const string Path = "/v1/admin/journals";

    private GatewayEnvironment _gateway = null!;

    public async ValueTask InitializeAsync() => _gateway = await GatewayEnvironment.StartAsync();

    public ValueTask DisposeAsync() => _gateway.DisposeAsync();

    [Fact]
    public async Task Journals_OfARunningNode_ShowItsOwn()
    {
        var journal = _gateway.Services.GetRequiredService<Journal>();
        var charge = SomeCharges.At(DateTimeOffset.UnixEpoch.AddYears(56));
        await journal.NoteAsync(charge.Intent, CancellationToken.None);
        await journal.SettleAsync(charge);
        await _gateway.Services.GetRequiredService<LedgerWriter>().FlushAsync(CancellationToken.None);

        var page = (await _gateway.Admin.GetFromJsonAsync<JsonObject>(Path))!;

        var own = Assert.Single(page["items"]!.AsArray())!.AsObject();
        Assert.Equal(["id", "silo", "state", "lowWater", "shippedThrough", "pending", "leasedUsd", "quarantined"], own.Select(member => member.Key));
        Assert.Equal(journal.Id.ToString(), (string)own["id"]!);
        Assert.StartsWith(Environment.MachineName, (string)own["silo"]!, StringComparison.Ordinal);
        Assert.Equal("OPEN", (string)own["state"]!);
        Assert.Equal(journal.LastChargeSeq, (long)own["shippedThrough"]!);
        Assert.Equal(0, (int)own["pending"]!);
        Assert.Equal("0", own["leasedUsd"]!.ToJsonString());
        Assert.Equal(0, (int)own["quarantined"]!);
        Assert.Null(page["nextCursor"]);
    }

    [Fact]
    public async Task Charge_BeyondWhatARollupHolds_IsShownAsQuarantined()
    {
        var journal = _gateway.Services.GetRequiredService<Journal>();
        var charge = SomeCharges.At(DateTimeOffset.UnixEpoch.AddYears(56)) with { Cost = new(Usd.FromDecimal(5_000_000m), Usd.Zero) };
        foreach (var next in new[] { charge, charge with { Intent = charge.Intent with { AttemptId = AttemptId.At(DateTimeOffset.UnixEpoch.AddYears(56)) } } })
        {
            await journal.NoteAsync(next.Intent, CancellationToken.None);
            await journal.SettleAsync(next);
            await _gateway.Services.GetRequiredService<LedgerWriter>().FlushAsync(CancellationToken.None);
        }

        var own = Assert.Single((await _gateway.Admin.GetFromJsonAsync<JsonObject>(Path))!["items"]!.AsArray())!;

        Assert.Equal((1, 0), ((int)own["quarantined"]!, (int)own["pending"]!));
    }

    [Fact]
    public async Task Journals_OfManyProcesses_ComeInPages()
    {
        var others = Enumerable.Range(0, 4).Select(i => new JournalId(Guid.Parse($"01890000-0000-7000-8000-00000000000{i}"))).ToList();
        var database = _gateway.Services.GetRequiredService<Database>();
        foreach (var other in others)
        {
            await database.WriteAsync(WriteLane.Admin, t => LedgerStore.RegisterAsync(t, other, "gone", othersWrite: false, DateTimeOffset.UnixEpoch), CancellationToken.None);
        }

        var (ids, cursor) = (new List<string>(), (string?)null);
        do
        {
            var page = (await _gateway.Admin.GetFromJsonAsync<JsonObject>($"{Path}?limit=2{(cursor is null ? "" : "&cursor=" + cursor)}"))!;
            Assert.InRange(page["items"]!.AsArray().Count, 1, 2);
            ids.AddRange(page["items"]!.AsArray().Select(item => (string)item!["id"]!));
            cursor = (string?)page["nextCursor"];
        }
        while (cursor is not null);

        var own = _gateway.Services.GetRequiredService<Journal>().Id;
        Assert.Equal([own.ToString(), .. others.AsEnumerable().Reverse().Select(id => id.ToString())], ids);
    }

    [Theory]
    [InlineData("?limit=0")]
    [InlineData("?limit=1001")]
    [InlineData("?cursor=abc")]
    [InlineData("?cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("?state=OPEN")]
    public async Task Journals_WithAQueryThatIsNotTheirs_Are400(string query)
    {
        using var answer = await _gateway.Admin.GetAsync(Path + query);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal("validation_error", (string)(await answer.Content.ReadFromJsonAsync<JsonObject>())!["error"]!["code"]!);
    }

    [Fact]
    public async Task Journals_WithoutTheScope_AreRefused()
    {
        using var anonymous = await _gateway.Client.GetAsync(Path);
        Assert.Equal(HttpStatusCode.Unauthorized, anonymous.StatusCode);

        using var made = await _gateway.Admin.PostAsJsonAsync("/v1/admin/tokens", new { name = "costs only", scopes = new[] { "costs:read" } });
        using var request = new HttpRequestMessage(HttpMethod.Get, Path);
        request.Headers.Authorization = new("Bearer", (string)(await made.Content.ReadFromJsonAsync<JsonObject>())!["token"]!);
        using var refused = await _gateway.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
    }

    [Fact]
    public async Task Journals_ForATokenOfOneTenant_AreNone()
    {
        using var tenant = await _gateway.Admin.PostAsJsonAsync("/v1/admin/tenants", new { name = "Acme" });
        var id = (string)(await tenant.Content.ReadFromJsonAsync<JsonObject>())!["id"]!;
        using var made = await _gateway.Admin.PostAsJsonAsync("/v1/admin/tokens", new { name = "narrow", scopes = new[] { "journals:read" }, tenantId = id });
        using var request = new HttpRequestMessage(HttpMethod.Get, Path);
        request.Headers.Authorization = new("Bearer", (string)(await made.Content.ReadFromJsonAsync<JsonObject>())!["token"]!);

        using var answer = await _gateway.Client.SendAsync(request);

        Assert.Empty((await answer.Content.ReadFromJsonAsync<JsonObject>())!["items"]!.AsArray());
    }
}

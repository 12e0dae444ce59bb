using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dvara.Domain;
using Dvara.Domain.Statements;
using Dvara.Domain.Time;
using Dvara.FunctionalTests.Costs;
using Dvara.Server.Audit;
using Dvara.Server.Chargeback;
using Dvara.Server.Storage;
using Dvara.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Dvara.FunctionalTests.Chargeback;

/// <summary>What is final, what is provisional, what closes, and who sees it.</summary>
public sealed class StatementTests(StatementTests.Node shared) : IClassFixture<StatementTests.Node>
{
    private readonly ChargebackNode _node = shared.InMay;

    [Fact]
    public async Task Month_ThatHasEnded_IsFinal_Once()
    {
        await using var node = await ChargebackNode.StartAsync();
        using var acme = await node.TenantAsync();
        await ChargebackNode.CallAsync(acme);
        node.GoTo(ChargebackNode.May);

        var first = await node.OrderAsync(new { tenantId = acme.Id, period = "2026-04" });
        var again = await node.OrderAsync(new { tenant_id = acme.Id, from = "2026-04-01T00:00:00Z", to = "2026-04-30T23:59:59Z" }, HttpStatusCode.OK);

        Assert.Equal("FINAL", Text(first, "status"));
        Assert.Equal("DV-2026-04-0001", Text(first, "number"));
        Assert.Equal("2026-05-01T00:00:00Z", Text(first, "to"));
        Assert.Equal(0.0075m, first.GetProperty("totalUsd").GetDecimal());
        Assert.Equal(first.GetRawText(), again.GetRawText());
    }

    [Fact]
    public async Task Month_UpToItsLastInstant_IsProvisional()
    {
        await using var node = await ChargebackNode.StartAsync();
        using var acme = await node.TenantAsync();
        node.GoTo(ChargebackNode.May.AddMilliseconds(-1));

        var early = await node.OrderAsync(new { tenantId = acme.Id, period = "2026-04" });
        node.GoTo(ChargebackNode.May);
        var final = await node.OrderAsync(new { tenantId = acme.Id, period = "2026-04" });

        Assert.Equal(("PROVISIONAL", JsonValueKind.Null), (Text(early, "status"), early.GetProperty("number").ValueKind));
        Assert.Equal("FINAL", Text(final, "status"));
    }

    [Theory]
    [InlineData("2026-04-01T00:00:00Z", "2026-04-30T00:00:00Z")]
    [InlineData("2026-04-01T00:00:00.001Z", "2026-05-01T00:00:00Z")]
    [InlineData("2026-03-01T00:00:00Z", "2026-05-01T00:00:00Z")]
    [InlineData("2026-04-01T00:00:00+02:00", "2026-05-01T00:00:00+02:00")]
    public async Task Window_ThatIsNoUtcMonth_ClosesNothing(string from, string to)
    {
        using var acme = await _node.TenantAsync();

        Assert.Equal("PROVISIONAL", Text(await _node.OrderAsync(new { tenantId = acme.Id, from, to }), "status"));
        Assert.Equal("FINAL", Text(await _node.OrderAsync(new { tenantId = acme.Id, period = "2026-04" }), "status"));
    }

    [Fact]
    public async Task TwentyOrdersOfOneMonthAtOnce_CloseItOnce()
    {
        await using var node = await ChargebackNode.StartAsync();
        using var acme = await node.TenantAsync();
        await ChargebackNode.CallAsync(acme);
        node.GoTo(ChargebackNode.May);

        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ =>
            node.Admin.PostAsJsonAsync("/v1/admin/chargeback", new { tenantId = acme.Id, period = "2026-04" }, TestContext.Current.CancellationToken)));

        Assert.Single(answers, answer => answer.StatusCode == HttpStatusCode.Created);
        Assert.Equal(19, answers.Count(answer => answer.StatusCode == HttpStatusCode.OK));
        Assert.Single((await Task.WhenAll(answers.Select(answer => answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)))).Distinct());
    }

    [Fact]
    public async Task Charge_ThatComesAfterTheClose_IsBilledInTheNextMonth_AsAnAdjustment()
    {
        await using var node = await ChargebackNode.StartAsync();
        using var acme = await node.TenantAsync();
        await ChargebackNode.CallAsync(acme);
        node.GoTo(ChargebackNode.May);
        var april = await node.OrderAsync(new { tenantId = acme.Id, period = "2026-04" });

        var late = SomeCharges.At(ChargebackNode.April);
        late = late with { Intent = late.Intent with { TenantId = new(Guid.Parse(acme.Id)), ApiKeyId = new(Guid.Parse(acme.KeyId)) } };
        await LedgerSeed.AddAsync(node.Service<Database>(), [late], ChargebackNode.May);
        var may = await node.OrderAsync(new { tenantId = acme.Id, period = "2026-05" });

        var adjustment = Assert.Single(may.GetProperty("adjustments").EnumerateArray());
        Assert.Equal("2026-04", Text(adjustment, "usagePeriod"));
        Assert.Equal(late.Cost.Total.ToDecimal(), may.GetProperty("totalUsd").GetDecimal());
        Assert.Equal(april.GetRawText(), (await node.GetAsync("/" + Text(april, "id"))).GetRawText());
    }

    [Fact]
    public async Task Statement_WithoutUsage_IsMade()
    {
        using var acme = await _node.TenantAsync();

        var empty = await _node.OrderAsync(new { tenantId = acme.Id, period = "2026-04" });

        Assert.Equal(0m, empty.GetProperty("totalUsd").GetDecimal());
        Assert.Empty(empty.GetProperty("lines").EnumerateArray());
        Assert.NotEmpty(await _node.DownloadAsync(empty, "pdf"));
    }

    [Fact]
    public async Task Statement_ThatFailed_HasNoFiles_AndCanBeAskedForAgain()
    {
        using var acme = await _node.TenantAsync();
        var broken = new StatementPress(new BrokenRenderer(), NullLogger<StatementPress>.Instance).Print(new()
        {
            Id = new(Guid.CreateVersion7(ChargebackNode.April)),
            TenantId = new(Guid.Parse(acme.Id)),
            TenantName = "Acme Ltd",
            Window = TimeWindow.MonthOf(ChargebackNode.April),
            Status = StatementStatus.Final,
            Number = "DV-2026-04-0001",
            Trigger = StatementTrigger.Manual,
            CreatedAt = ChargebackNode.April,
            Contents = new StatementSheet(TimeWindow.MonthOf(ChargebackNode.April)).Close(new Dictionary<ApiKeyId, string>()),
        });
        Assert.Equal(StatementStatus.Failed, broken.Statement.Status);
        await _node.Service<StatementStore>().AddAsync(
            broken,
            AuditEvent.BySystem(new StepClock(ChargebackNode.April), "CHARGEBACK_FAILED", broken.Statement.TenantId, new { }),
            TestContext.Current.CancellationToken);

        Assert.Equal("FAILED", Text(await _node.GetAsync($"/{broken.Statement.Id}"), "status"));
        Assert.All(["pdf", "csv", "json"], (string format) =>
            _node.GetAsync($"/{broken.Statement.Id}/{format}", HttpStatusCode.Conflict).GetAwaiter().GetResult());
        Assert.Equal("FINAL", Text(await _node.OrderAsync(new { tenantId = acme.Id, period = "2026-04" }), "status"));
    }

    [Fact]
    public async Task List_IsFiltered_AndPaged_NewestFirst()
    {
        await using var node = await ChargebackNode.StartAsync();
        using var acme = await node.TenantAsync();
        using var zeta = await node.TenantAsync("Zeta");
        var ids = new List<string>();
        foreach (var (tenant, period) in ((string, string)[])[(acme.Id, "2026-02"), (acme.Id, "2026-03"), (acme.Id, "2026-04"), (zeta.Id, "2026-03")])
        {
            ids.Add(Text(await node.OrderAsync(new { tenantId = tenant, period }), "id"));
            node.GoTo(node.Service<TimeProvider>().GetUtcNow().AddSeconds(1));
        }

        ids.Reverse();
        Assert.Equal(ids, IdsOf(await node.GetAsync("")));
        Assert.Equal([ids[1], ids[2], ids[3]], IdsOf(await node.GetAsync($"?tenantId={acme.Id}")));
        Assert.Equal([ids[1]], IdsOf(await node.GetAsync("?status=PROVISIONAL")));
        Assert.Equal([ids[0], ids[2]], IdsOf(await node.GetAsync("?from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z")));

        var window = await node.GetAsync("?from=2026-03-01T00:00:00Z&to=2026-03-31T23:59:59Z");
        Assert.Equal(("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"), (Text(window, "from"), Text(window, "to")));
        var page = await node.GetAsync("?limit=3");
        Assert.Equal(("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"), (Text(page, "from"), Text(page, "to")));
        var rest = await node.GetAsync($"?limit=3&cursor={Text(page, "nextCursor")}");
        Assert.Equal(ids, [.. IdsOf(page), .. IdsOf(rest)]);
        Assert.Equal(JsonValueKind.Null, rest.GetProperty("nextCursor").ValueKind);
        await node.GetAsync($"?limit=3&status=FINAL&cursor={Text(page, "nextCursor")}", HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Window_ThatHoldsNothing_IsAnEmptyStatement()
    {
        using var acme = await _node.TenantAsync();
        await ChargebackNode.CallAsync(acme);

        var empty = await _node.OrderAsync(new { tenantId = acme.Id, from = "2026-05-01T00:00:00Z", to = "2026-05-01T00:00:00Z" });

        Assert.Equal(("PROVISIONAL", 0m), (Text(empty, "status"), empty.GetProperty("totalUsd").GetDecimal()));
        Assert.Empty(empty.GetProperty("lines").EnumerateArray());
        Assert.NotEmpty(await _node.DownloadAsync(empty, "pdf"));
    }

    [Fact]
    public async Task ForeignTenant_IsUnknown()
    {
        using var acme = await _node.TenantAsync();
        using var zeta = await _node.TenantAsync("Zeta");
        var statement = Text(await _node.OrderAsync(new { tenantId = acme.Id, period = "2026-03" }), "id");
        using var narrow = await _node.Environment.ClientAsync(new { name = "zeta", role = "billing", tenantId = zeta.Id });

        Assert.All(["", "/pdf", "/csv", "/json"], (string rest) =>
            _node.GetAsync($"/{statement}{rest}", HttpStatusCode.NotFound, narrow).GetAwaiter().GetResult());
        Assert.Empty(IdsOf(await _node.GetAsync("", client: narrow)));
        await _node.GetAsync($"?tenantId={acme.Id}", HttpStatusCode.NotFound, narrow);
        using var order = await narrow.PostAsJsonAsync("/v1/admin/chargeback", new { tenantId = acme.Id, period = "2026-03" }, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, order.StatusCode);
    }

    [Theory]
    [InlineData("""{"period":"2026-04"}""", "tenantId")]
    [InlineData("""{"tenantId":"acme","period":"2026-04"}""", "tenantId")]
    [InlineData("""{"tenantId":"TENANT"}""", "from")]
    [InlineData("""{"tenantId":"TENANT","from":"2026-04-01","to":"2026-05-01T00:00:00Z"}""", "from")]
    [InlineData("""{"tenantId":"TENANT","from":"2026-05-01T00:00:00Z","to":"2026-04-01T00:00:00Z"}""", "from")]
    [InlineData("""{"tenantId":"TENANT","from":"2026-04-01T00:00:00Z","to":"2026-02-30T00:00:00Z"}""", "to")]
    [InlineData("""{"tenantId":"TENANT","from":"2026-04-01T00:00:00","to":"2026-05-01T00:00:00Z"}""", "from")]
    [InlineData("""{"tenantId":"TENANT","period":"2026-13"}""", "period")]
    [InlineData("""{"tenantId":"TENANT","period":"April"}""", "period")]
    [InlineData("""{"tenantId":"TENANT","period":"2026-04","from":"2026-04-01T00:00:00Z"}""", "period")]
    [InlineData("""{"tenantId":"TENANT","period":"2026-04","form":"2026-04-01T00:00:00Z"}""", "form is not a field")]
    public async Task Order_ThatCannotBeMeant_NamesTheField(string body, string field)
    {
        using var acme = await _node.TenantAsync();
        using var content = new StringContent(body.Replace("TENANT", acme.Id, StringComparison.Ordinal), System.Text.Encoding.UTF8, "application/json");
        using var answer = await _node.Admin.PostAsync("/v1/admin/chargeback", content, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        var error = (await answer.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken)).GetProperty("error");
        Assert.Equal("validation_error", Text(error, "code"));
        Assert.Contains(field, error.GetRawText(), StringComparison.Ordinal);
    }

    private static string Text(JsonElement element, string name) => element.GetProperty(name).GetString()!;

    private static List<string> IdsOf(JsonElement page) => [.. page.GetProperty("items").EnumerateArray().Select(item => Text(item, "id"))];

    private sealed class BrokenRenderer : IReportRenderer
    {
        public byte[] Render(Statement statement) => throw new InvalidOperationException("No ink.");
    }

    /// <summary>It stands in May; what makes its calls in April or moves its clock has a node of its own.</summary>
    public sealed class Node : IAsyncLifetime
    {
        internal ChargebackNode InMay { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            InMay = await ChargebackNode.StartAsync();
            InMay.GoTo(ChargebackNode.May);
        }

        public ValueTask DisposeAsync() => InMay.DisposeAsync();
    }
}

using System.Net;
using System.Text;
using Dvara.Domain;
using Dvara.Domain.Metering;
using Dvara.Providers;
using Dvara.Server.ApiKeys;
using Dvara.Server.Budgets;
using Dvara.Server.Gateway;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Metering;
using Dvara.Server.Routing;
using Dvara.Server.Tenants;
using Dvara.Testing;
using Dvara.UnitTests.Metering;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Xunit;
using Endpoint = Dvara.Providers.Endpoint;

namespace Dvara.UnitTests.Gateway;

/// <summary>Every attempt ends in one charge that says what happened, also where what happened is our own fault.</summary>
public sealed class DispatcherTests : IAsyncLifetime
{
    private const string Events = "text/event-stream";
    private const string Json = "application/json";

    private static readonly AdmittedCall Whole = CallOf("""{"model":"gpt-4o","messages":[{"role":"user","content":"Hello hello hello hello"}]}""");
    private static readonly AdmittedCall Streamed = CallOf("""{"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hello"}]}""");

    private readonly MeteringFolder _folder = new();
    private readonly KeptLog<Attempt> _log = new();
    private Journal _journal = null!;
    private LedgerWriter _writer = null!;

    public ValueTask InitializeAsync()
    {
        _journal = _folder.OpenJournal();
        _writer = _folder.Writer(_journal);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        _writer.Dispose();
        _journal.Dispose();
        await _folder.DisposeAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Failure_OfOurOwn_LeavesAnUnresolvedCharge_AndIsLoggedOnce(bool stream)
    {
        var failure = new InvalidOperationException("A fault in the gateway.");
        var start = Encoding.UTF8.GetBytes(stream ? Recorded.ChatStream(usage: true)[..200] : Recorded.Chat()[..20]);

        var error = await SendAsync(stream ? Streamed : Whole, HttpStatusCode.OK, stream ? Events : Json, new ScriptedAnswer(start, failure));

        var charge = TheCharge(stream ? Streamed : Whole);
        Assert.Equal((ChargeState.Unresolved, "internal_error"), (charge.State, charge.Outcome));
        Assert.Equal("internal_error", error?.Code);
        Assert.Equal(0, _journal.OpenAttempts);
        var (level, message, logged) = Assert.Single(_log.Lines);
        Assert.Equal((LogLevel.Error, failure), (level, logged));
        Assert.Contains(charge.Intent.AttemptId.ToString(), message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failure_BeforeAnythingIsSent_LeavesNoAttemptOpen()
    {
        var end = Streamed.Body.Length;
        var misread = Streamed with { Facts = Streamed.Facts with { Plan = Streamed.Facts.Plan with { StreamOptions = end..end } } };

        await Assert.ThrowsAsync<IndexOutOfRangeException>(() => SendAsync(misread, HttpStatusCode.OK, Events, new ScriptedAnswer([])));

        Assert.Equal(0, _journal.OpenAttempts);
    }

    [Fact]
    public async Task Client_ThatLeavesWhileItsAttemptIsNoted_IsNotBilled_AndNothingIsSent()
    {
        var answer = new ScriptedAnswer(Encoding.UTF8.GetBytes(Recorded.Chat()));

        Assert.Null(await SendAsync(Whole, HttpStatusCode.OK, Json, answer, client: new LeavingClient()));

        var charge = TheCharge(Whole);
        Assert.Equal((ChargeState.Failed, "client_closed"), (charge.State, charge.Outcome));
        Assert.False(answer.IsDisposed);
    }

    [Fact]
    public async Task Failure_OfTheLine_IsNotOurs()
    {
        var start = Encoding.UTF8.GetBytes(Recorded.ChatStream(usage: true)[..200]);

        Assert.Null(await SendAsync(Streamed, HttpStatusCode.OK, Events, new ScriptedAnswer(start, new IOException("reset"))));

        Assert.Equal("connection_reset", TheCharge(Streamed).Outcome);
        Assert.Empty(_log.Lines);
    }

    [Theory]
    [InlineData("br", false)]
    [InlineData("br", true)]
    [InlineData("gzip", false)]
    [InlineData("gzip", true)]
    [InlineData("deflate", false)]
    [InlineData("deflate", true)]
    public async Task Answer_ThatIsNotCompressedAsItSays_IsNotOurFailure(string encoding, bool stream)
    {
        var call = stream ? Streamed : Whole;
        var answer = new ScriptedAnswer(Encoding.UTF8.GetBytes(Recorded.Chat()));

        await SendAsync(call, HttpStatusCode.OK, stream ? Events : Json, answer, encoding);

        Assert.Equal("connection_reset", TheCharge(call).Outcome);
        Assert.Empty(_log.Lines);
    }

    [Theory]
    [InlineData(200, 10)]
    [InlineData(400, 10)]
    [InlineData(400, 3 << 20)]
    [InlineData(500, 10)]
    [InlineData(500, 3 << 20)]
    public async Task Answer_ThatIsNotPassedOnAsItComes_IsLetGoOf(int status, int bytes)
    {
        var answer = new ScriptedAnswer(status == 200 ? Encoding.UTF8.GetBytes(Recorded.Chat()) : new byte[bytes]);

        await SendAsync(Whole, (HttpStatusCode)status, Json, answer);

        Assert.True(answer.IsDisposed);
    }

    [Theory]
    [InlineData("""{"prompt_tokens":-1,"completion_tokens":9,"total_tokens":8}""", "cannot be")]
    [InlineData("""{"prompt_tokens":5,"completion_tokens":9,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":50}}""", "exceed their whole")]
    public async Task Usage_ThatCannotBe_IsAlarmedOnce(string usage, string says)
    {
        await SendAsync(Whole, HttpStatusCode.OK, Json, new ScriptedAnswer(Encoding.UTF8.GetBytes(Recorded.Chat(usage))));

        var (level, message, _) = Assert.Single(_log.Lines);
        Assert.Equal(LogLevel.Warning, level);
        Assert.Contains(says, message, StringComparison.Ordinal);
        Assert.Contains(TheCharge(Whole).Intent.AttemptId.ToString(), message, StringComparison.Ordinal);
        Assert.Contains("gpt-4o", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Checkpoint_GoesByTheEstimateOfTheNote_AndDoesNotCountTheRequestAgain()
    {
        var attempt = Begin(Whole);
        await attempt.NoteAsync(CancellationToken.None);
        await attempt.CheckpointAsync(new AnswerFacts { EstimatedOutputTokens = 7 });

        using var next = _folder.OpenJournal(path: _folder.CopyJournal());

        var delivered = Assert.Single(next.Resume(0)).Delivered!;
        Assert.NotEqual(TokenCounter.CountInput("gpt-4o", Endpoint.ChatCompletions, Whole.Body.Span), attempt.Intent.EstimatedInputTokens);
        Assert.Equal((attempt.Intent.EstimatedInputTokens, 7), (delivered.UncachedInput, delivered.Output));
    }

    private static AdmittedCall CallOf(string body)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        Assert.True(RequestReader.Read(bytes, Endpoint.ChatCompletions, out var facts, out _));
        var config = new ProviderConfig { Id = "openai", BaseUrl = new Uri("http://provider.test/v1"), Format = WireFormat.OpenAi, AsksForUsage = true };
        return new()
        {
            RequestId = new(Uuid7.At(SomeAttempts.Now)),
            Caller = new ApiKeyIdentity
            {
                KeyId = Guid.NewGuid(),
                TenantId = SomeAttempts.Tenant.Value,
                Status = ApiKeyStatus.Active,
                Scopes = [],
                Models = [],
                Tags = [],
                TenantStatus = TenantStatus.Active,
                TenantTags = [],
                TenantMetadata = [],
            },
            Endpoint = Endpoint.ChatCompletions,
            Facts = facts!,
            Body = bytes,
            Route = new(Provider.Connect(config, TimeProvider.System), "gpt-4o"),
            Tags = Intent.NoTags,
        };
    }

    private Attempt Begin(AdmittedCall call) => NewAttempts().Begin(call, 1, new Hold(NewGate(), default, _folder.Clock.GetUtcNow(), [], null, null));

    /// <summary>Without caps there is nobody to ask.</summary>
    private BudgetGate NewGate() => new(new CapBookState(), new CapLeases(), null!, new UsualCosts(), new BudgetOptions(), _folder.Clock);

    private Attempts NewAttempts() => new(
        _journal, new Settlement(_journal, _writer, DvaraSettings.Read(new ConfigurationManager())), _folder.Prices, _folder.Clock, _log);

    private async Task<ApiError?> SendAsync(
        AdmittedCall call, HttpStatusCode status, string mediaType, Stream answer, string? encoding = null, IHttpRequestLifetimeFeature? client = null)
    {
        using var forwarder = new ScriptedForwarder(status, mediaType, answer, encoding);
        var options = new GatewayOptions();
        using var node = new Drain(DvaraSettings.Read(new ConfigurationManager()), new StartUp(), null!, new KeptLog<Drain>());
        var dispatcher = new Dispatcher(
            forwarder, NewGate(), new Bounds(_folder.Prices, _folder.Clock), new HoldRefusals(new BudgetOptions()), NewAttempts(), new DrainGate(options), options,
            new LoopMark(new MasterKey(new byte[32])), node, _folder.Clock);
        var httpContext = new DefaultHttpContext();
        httpContext.Request.Method = HttpMethods.Post;
        if (client is not null)
        {
            httpContext.Features.Set(client);
        }

        return (await dispatcher.SendAsync(httpContext, call)).Error;
    }

    private Charge TheCharge(AdmittedCall call) => Assert.Single(_journal.ReadCharges(0, 10).Select(journaled => journaled.Charge), charge => charge.Intent.RequestId == call.RequestId);

    /// <summary>Is there when the note of its attempt begins, and gone whenever anyone asks again.</summary>
    private sealed class LeavingClient : IHttpRequestLifetimeFeature
    {
        private int _asked;

        public CancellationToken RequestAborted
        {
            get => new(canceled: _asked++ > 0);
            set => throw new NotSupportedException();
        }

        public void Abort() => throw new NotSupportedException();
    }
}

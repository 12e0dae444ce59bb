using System.Text;
using Dvara.Server.Hosting;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Orleans.Runtime.Messaging;
using Xunit;

namespace Dvara.UnitTests.Hosting;

public sealed class ErrorAnswersTests
{
    public static TheoryData<Exception, bool, bool> Cases => new()
    {
        { new InvalidOperationException(), false, true },
        { new InvalidOperationException(), true, true },
        { new OperationCanceledException(), false, true },
        { new OperationCanceledException(), true, false },
        { new TaskCanceledException(), true, false },
        { new ConnectionResetException("reset"), false, false },
        { new ConnectionResetException("reset"), true, false },
        { new BadHttpRequestException("bad"), false, false },
        { new BadHttpRequestException("bad"), true, false },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Failure_IsOurs_UnlessItIsTheCallersDoing(Exception exception, bool clientGone, bool expected) =>
        Assert.Equal(expected, ErrorAnswers.IsOurs(exception, clientGone));

    [Fact]
    public void Silo_ThatIsAway_Is503()
    {
        Exception[] failures =
        [
            new SiloUnavailableException("gone"), new ConnectionFailedException("refused"), new TimeoutException("frozen"), new OrleansException("other"),
        ];

        Assert.All(failures.Select(ErrorAnswers.Of), answer =>
        {
            Assert.Equal((503, "ledger_unavailable"), (answer.Status, answer.Code));
            Assert.Equal("Retry-After", Assert.Single(answer.Headers).Name);
        });
        Assert.Equal(500, ErrorAnswers.Of(new InvalidOperationException()).Status);
    }

    [Fact]
    public async Task Body_ThatDoesNotArrive_Is408_AndSaysSo()
    {
        using var body = new MemoryStream();
        var httpContext = new DefaultHttpContext { Response = { Body = body } };

        await ErrorAnswers.Of(new BadHttpRequestException("slow", StatusCodes.Status408RequestTimeout)).ExecuteAsync(httpContext);

        Assert.Equal(408, httpContext.Response.StatusCode);
        Assert.Contains("did not arrive in time", Encoding.UTF8.GetString(body.ToArray()), StringComparison.Ordinal);
    }
}

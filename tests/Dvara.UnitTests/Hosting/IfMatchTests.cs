using Dvara.Server.Hosting.AdminApi;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Dvara.UnitTests.Hosting;

public sealed class IfMatchTests
{
    [Theory]
    [InlineData(null, true)]
    [InlineData("*", true)]
    [InlineData("\"7\"", true)]
    [InlineData("\"6\", \"7\"", true)]
    [InlineData("\"6\"", false)]
    [InlineData("W/\"7\"", false)]
    [InlineData("\"77\"", false)]
    public void Edit_OfVersion7_GoesAheadOnlyWhereItsStateIsNamed(string? header, bool goesAhead)
    {
        var (match, error) = IfMatch.Read(Request(header));

        Assert.Null(error);
        var refusal = match!.Refuse(ETags.Of(7));
        Assert.Equal(goesAhead, refusal is null);
        Assert.True(goesAhead || (refusal!.Status == 412 && refusal.Code == "precondition_failed"));
    }

    [Theory]
    [InlineData("7")]
    [InlineData("\"7")]
    [InlineData("")]
    [InlineData("\"7\" \"8\"")]
    public void Header_ThatIsNoETag_Is400(string header) => Assert.Equal(400, IfMatch.Read(Request(header)).Error!.Status);

    [Fact]
    public void ETag_OfAnInstant_ChangesWithTheMillisecond()
    {
        var at = new DateTimeOffset(2026, 4, 1, 0, 0, 0, TimeSpan.Zero);

        Assert.NotEqual(ETags.Of(at), ETags.Of(at.AddMilliseconds(1)));
    }

    private static DefaultHttpContext Request(string? header)
    {
        var httpContext = new DefaultHttpContext();
        if (header is not null)
        {
            httpContext.Request.Headers.IfMatch = header;
        }

        return httpContext;
    }
}

using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Xunit;

namespace Dvara.FunctionalTests.AdminTokens;

public sealed class AdminTokenAuthenticationTests(SharedNode shared) : IClassFixture<SharedNode>
{
    [Fact]
    public async Task AdminApi_WithTheBootstrapToken_Answers()
    {
        using var answer = await shared.Node.Admin.GetAsync("/v1/admin/tokens");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Theory]
    [InlineData(null, "admin_token_required")]
    [InlineData("Basic dXNlcjpwYXNz", "admin_token_required")]
    [InlineData("Bearer", "admin_token_required")]
    [InlineData("Bearer dvara_pat_0000000000000000000000000000000000000000000000000000000000000000", "invalid_admin_token")]
    [InlineData("Bearer gw_something", "invalid_admin_token")]
    public async Task AdminApi_WithoutAKnownToken_Is401(string? header, string code)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/v1/admin/tokens");
        request.Headers.Authorization = header is null ? null : AuthenticationHeaderValue.Parse(header);

        using var answer = await shared.Node.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        var error = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error");
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.Equal("authentication_error", error.GetProperty("type").GetString());
        Assert.Equal(answer.Headers.GetValues("x-request-id").Single(), error.GetProperty("request_id").GetString());
    }
}

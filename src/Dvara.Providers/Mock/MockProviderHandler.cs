namespace Dvara.Providers.Mock;

/// <summary>The provider <c>mock</c>: answers inside the process in OpenAI's wire format, deterministically, whole and streamed.</summary>
public sealed class MockProviderHandler(TimeProvider time) : HttpMessageHandler
{
    /// <summary>Where a request carries what it scripts.</summary>
    public static readonly HttpRequestOptionsKey<MockScript?> Script = new("dvara.mock-script");

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        throw new NotImplementedException($"{time}");
}

using System.Net;
using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Yarp.ReverseProxy.Forwarder;

namespace Dvara.UnitTests.Gateway;

/// <summary>YARP's own forwarder in front of an answer that no network could bring.</summary>
internal sealed class ScriptedForwarder(HttpStatusCode status, string mediaType, Stream answer, string? encoding) : IHttpForwarder, IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddLogging().AddHttpForwarder().BuildServiceProvider();

    public async ValueTask<ForwarderError> SendAsync(
        HttpContext context, string destinationPrefix, HttpMessageInvoker httpClient, ForwarderRequestConfig requestConfig, HttpTransformer transformer)
    {
        using var upstream = new HttpMessageInvoker(new Upstream(status, mediaType, answer, encoding));
        return await _services.GetRequiredService<IHttpForwarder>()
            .SendAsync(context, destinationPrefix, upstream, requestConfig, transformer, context.RequestAborted);
    }

    public void Dispose() => _services.Dispose();

    private sealed class Upstream(HttpStatusCode status, string mediaType, Stream answer, string? encoding) : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            await request.Content!.CopyToAsync(Stream.Null, cancellationToken);
            var content = new StreamContent(answer);
            content.Headers.ContentType = new MediaTypeHeaderValue(mediaType);
            if (encoding is not null)
            {
                content.Headers.ContentEncoding.Add(encoding);
            }

            return new HttpResponseMessage(status) { Content = content };
        }
    }
}

using System.Net.Http.Headers;
using Dvara.Server.Hosting;

namespace Dvara.Server.Gateway;

/// <summary>
/// Marks outgoing calls so that one which comes back is recognised (RFC 8586, <c>CDN-Loop</c>), and the refusal of it, so that the call that
/// led to it knows it from a provider's own 508. The same on every silo of an installation; another installation is none of our business.
/// </summary>
internal sealed class LoopMark(MasterKey masterKey)
{
    private const string Header = "CDN-Loop";

    private readonly string _mark = "dvara-" + Convert.ToHexStringLower(masterKey.Derive("loop").AsSpan(0, 8));

    public bool IsOn(IHeaderDictionary headers) => headers[Header].ToString().Contains(_mark, StringComparison.Ordinal);

    public bool IsOn(HttpResponseHeaders headers) =>
        headers.NonValidated.TryGetValues(Header, out var values) && values.ToString().Contains(_mark, StringComparison.Ordinal);

    public void PutOn(HttpRequestHeaders headers) => headers.TryAddWithoutValidation(Header, _mark);

    public void PutOn(IHeaderDictionary headers) => headers[Header] = _mark;
}

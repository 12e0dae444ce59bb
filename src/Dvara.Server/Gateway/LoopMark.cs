using System.Net.Http.Headers;
using Dvara.Server.Hosting;

namespace Dvara.Server.Gateway;

/// <summary>
/// Marks outgoing calls so that one which comes back is recognised (RFC 8586, <c>CDN-Loop</c>). The same on every silo of an
/// installation; another installation in between is none of our business.
/// </summary>
internal sealed class LoopMark(MasterKey masterKey)
{
    private const string Header = "CDN-Loop";

    private readonly string _mark = "dvara-" + Convert.ToHexStringLower(masterKey.Derive("loop").AsSpan(0, 8));

    public bool IsOn(IHeaderDictionary headers) => headers[Header].ToString().Contains(_mark, StringComparison.Ordinal);

    public void PutOn(HttpRequestHeaders headers) => headers.TryAddWithoutValidation(Header, _mark);
}

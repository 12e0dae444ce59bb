namespace Dvara.Server.ApiKeys;

/// <summary>Says whose key it is, for all silos. Its key is the SHA-256 of the API key, 64 lower-case hexadecimal digits.</summary>
[Alias("dvara.api-key")]
internal interface IApiKeyGrain : IGrainWithStringKey
{
    /// <param name="change">
    /// The newest change that the asker knows of (<c>ChangeFeed.Seen</c>): an answer read before it is read again.
    /// <see cref="long.MaxValue"/>: read it again in any case.
    /// </param>
    /// <returns>Null: nobody has this key.</returns>
    [Alias("IdentifyAsync")]
    [ResponseTimeout("00:00:01")]
    Task<ApiKeyIdentity?> IdentifyAsync(long change);
}

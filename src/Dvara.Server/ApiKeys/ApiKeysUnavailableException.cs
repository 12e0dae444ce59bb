namespace Dvara.Server.ApiKeys;

/// <summary>Nobody can say now whose key it is: neither grain nor database answered. Transient; the caller gets a 503, never a 401.</summary>
internal sealed class ApiKeysUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

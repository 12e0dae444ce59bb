namespace Dvara.Server.ApiKeys;

internal sealed class ApiKeysUnavailableException(string message, Exception? inner = null) : Exception(message, inner);

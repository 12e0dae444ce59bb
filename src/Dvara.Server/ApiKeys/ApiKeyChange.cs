using Dvara.Server.Audit;

namespace Dvara.Server.ApiKeys;

/// <summary>A key and the hash under which it is found.</summary>
internal sealed record HashedKey(ApiKey Key, KeyHash Hash);

/// <summary>What an admin's call does to a key, decided from the row that its transaction sees.</summary>
/// <param name="Key">The key afterwards.</param>
/// <param name="Event">What the audit trail says of it; null: nothing changes.</param>
/// <param name="Successor">The key that takes its place.</param>
internal sealed record ApiKeyChange(ApiKey Key, AuditEvent? Event, HashedKey? Successor = null);

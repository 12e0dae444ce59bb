using System.Data.Common;
using Dvara.Server.Hosting.Idempotency;

namespace Dvara.Server.Audit;

/// <summary>Writes events inside the transaction of what they tell, so that neither can exist without the other.</summary>
internal static class AuditTrail
{
    public static Task AppendAsync(DbTransaction transaction, AuditEvent auditEvent) => AppendAsync(transaction, [auditEvent]);

    public static async Task AppendAsync(DbTransaction transaction, IReadOnlyList<AuditEvent> events)
    {
        await AuditStore.InsertAsync(transaction, events);
        foreach (var claim in events.Select(e => e.Claim).OfType<IdempotencyClaim>())
        {
            await IdempotencyStore.MarkEffectAsync(transaction, claim);
        }
    }
}

using System.Data.Common;

namespace Dvara.Server.Audit;

/// <summary>Writes events inside the transaction of what they tell, so that neither can exist without the other.</summary>
internal static class AuditTrail
{
    public static Task AppendAsync(DbTransaction transaction, AuditEvent auditEvent) => AppendAsync(transaction, [auditEvent]);

    public static Task AppendAsync(DbTransaction transaction, IReadOnlyList<AuditEvent> events) =>
        AuditStore.InsertAsync(transaction, events);
}

using System.Data.Common;
using Dvara.Domain;
using Dvara.Domain.Pricing;
using Dvara.Server.Audit;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Storage;

namespace Dvara.Server.Pricing;

/// <summary>
/// Changes what admins price: decision, rows, audit event and announcement in one transaction. The clock is read inside it, so that a
/// change that had to wait for its turn still gives every silo its notice.
/// <para>
/// A version is never rewritten. Opening the next one ends the one in force, and a planned one that is withdrawn gives its time back.
/// </para>
/// </summary>
internal sealed class PriceChanges(Database database, ChangeFeed changeFeed, TimeProvider clock)
{
    /// <summary>Of the change feed.</summary>
    public const string Topic = "pricing";

    /// <summary>Opens a version of a key: its first at once, another one with notice.</summary>
    /// <param name="draft">What is asked for.</param>
    /// <param name="note">Makes the audit event.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public Task<(PriceVersion? Version, ApiError? Error)> OpenAsync(
        PriceDraft draft, Func<TenantId?, object, AuditEvent> note, CancellationToken cancellationToken) => WriteAsync<PriceVersion>(
            async (transaction, now) =>
            {
                var timelines = new PriceTimelines(await PriceStore.AllAsync(transaction, PriceSource.Custom), now);
                var (version, opening) = timelines.Open(draft);
                if (version is null)
                {
                    return (null, PriceRefusals.Of(opening));
                }

                await PriceStore.InsertAsync(transaction, version);
                await TellAsync(transaction, [Event(note, "opened", version)]);
                return (version, null);
            },
            cancellationToken);

    /// <summary>Opens the version that follows <paramref name="id"/>; one that has not begun is replaced in its place.</summary>
    /// <param name="id">A custom version.</param>
    /// <param name="draft">What is asked for, of the same key.</param>
    /// <param name="match">What state the caller saw.</param>
    /// <param name="note">Makes the audit event.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public Task<(PriceVersion? Version, ApiError? Error)> ReplaceAsync(
        PriceId id, PriceDraft draft, IfMatch match, Func<TenantId?, object, AuditEvent> note, CancellationToken cancellationToken) => WriteAsync<PriceVersion>(
            async (transaction, now) =>
            {
                var all = await PriceStore.AllAsync(transaction, PriceSource.Custom);
                var (version, error) = Find(all, id, match);
                if (version is null)
                {
                    return (null, error);
                }

                var isPlanned = version.Price.EffectiveFrom >= PriceSchedule.NextChange(now);
                var timelines = new PriceTimelines(isPlanned ? all.Where(other => other != version) : all, now);
                if (!isPlanned && RefuseFollowing(timelines.Of(version.Key), version, draft, now) is { } refusal)
                {
                    return (null, refusal);
                }

                var (next, opening) = timelines.Open(isPlanned ? draft with { EffectiveFrom = draft.EffectiveFrom ?? version.Price.EffectiveFrom } : draft);
                if (next is null)
                {
                    return (null, PriceRefusals.Of(opening));
                }

                if (isPlanned)
                {
                    // No charge names it yet, so it keeps its id.
                    next = next with { Price = next.Price with { Id = id }, CreatedAt = version.CreatedAt };
                    await PriceStore.DeleteAsync(transaction, id);
                }

                await PriceStore.InsertAsync(transaction, next);
                await TellAsync(transaction, [Event(note, "changed", next)]);
                return (next, null);
            },
            cancellationToken);

    /// <summary>Ends a version with notice; one that has not begun is withdrawn.</summary>
    /// <param name="id">A custom version.</param>
    /// <param name="match">What state the caller saw.</param>
    /// <param name="note">Makes the audit event.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public async Task<ApiError?> CloseAsync(
        PriceId id, IfMatch match, Func<TenantId?, object, AuditEvent> note, CancellationToken cancellationToken)
    {
        var (_, error) = await WriteAsync<PriceVersion>(
            async (transaction, now) =>
            {
                var (version, refusal) = Find(await PriceStore.AllAsync(transaction, PriceSource.Custom), id, match);
                if (version is null)
                {
                    return (null, refusal);
                }

                var end = PriceSchedule.NextChange(now);
                if (version.Price.EffectiveTo <= end)
                {
                    return (version, null);
                }

                if (version.Price.EffectiveFrom >= end)
                {
                    await PriceStore.DeleteAsync(transaction, id);
                    await TellAsync(transaction, [Event(note, "withdrawn", version)]);
                    return (version, null);
                }

                await PriceStore.EndAsync(transaction, id, end);
                await TellAsync(transaction, [Event(note, "closed", (await PriceStore.FindAsync(transaction, id))!)]);
                return (version, null);
            },
            cancellationToken);
        return error;
    }

    /// <summary>Opens a version per row, all or none.</summary>
    /// <param name="rows">In the order of the file.</param>
    /// <param name="dryRun">Decide and write nothing.</param>
    /// <param name="note">Makes the audit events.</param>
    /// <param name="cancellationToken">The caller went away.</param>
    public Task<(IReadOnlyList<ImportedPrice>? Prices, ApiError? Error)> ImportAsync(
        IReadOnlyList<PriceRow> rows, bool dryRun, Func<TenantId?, object, AuditEvent> note, CancellationToken cancellationToken) => WriteAsync<IReadOnlyList<ImportedPrice>>(
            async (transaction, now) =>
            {
                var timelines = new PriceTimelines(await PriceStore.AllAsync(transaction, PriceSource.Custom), now);
                var (prices, errors) = timelines.Open(rows);
                if (errors.Count > 0)
                {
                    return (null, PriceImport.Refuse(errors));
                }

                var opened = prices.Where(price => price.Outcome != ImportOutcome.Unchanged).Select(price => price.Version).ToList();
                if (!dryRun && opened.Count > 0)
                {
                    foreach (var version in opened)
                    {
                        await PriceStore.InsertAsync(transaction, version);
                    }

                    // One event is enough to mark the call's idempotency key.
                    await TellAsync(transaction, [.. opened.Select((version, i) =>
                        i == 0 ? Event(note, "imported", version) : Event(note, "imported", version) with { Claim = null })]);
                }

                return (prices, null);
            },
            cancellationToken);

    /// <summary>Puts the events on the trail and tells every silo; for every write of prices.</summary>
    public static async Task TellAsync(DbTransaction transaction, IReadOnlyList<AuditEvent> events)
    {
        await AuditTrail.AppendAsync(transaction, events);
        await ChangeFeed.AnnounceAsync(transaction, Topic, "");
    }

    private async Task<(T? Value, ApiError? Error)> WriteAsync<T>(
        Func<DbTransaction, DateTimeOffset, Task<(T? Value, ApiError? Error)>> write, CancellationToken cancellationToken)
        where T : class
    {
        var result = await database.WriteAsync(WriteLane.Admin, transaction => write(transaction, clock.GetUtcNow()), cancellationToken);
        await changeFeed.CatchUpAsync(cancellationToken);
        return result;
    }

    private static AuditEvent Event(Func<TenantId?, object, AuditEvent> note, string action, PriceVersion version) =>
        note(version.Price.TenantId, new { action, price = PriceAnswer.Of(version) });

    private static (PriceVersion? Version, ApiError? Error) Find(List<PriceVersion> versions, PriceId id, IfMatch match)
    {
        var version = versions.Find(candidate => candidate.Price.Id == id);
        if (version is null)
        {
            return (null, PriceRefusals.NotFound());
        }

        return match.Refuse(PriceAnswer.Of(version).ETag()) is { } stale ? (null, stale) : (version, null);
    }

    /// <summary>A version that is over has no next one, and one that is followed already has that one.</summary>
    private static ApiError? RefuseFollowing(IReadOnlyList<Price> versions, PriceVersion version, PriceDraft draft, DateTimeOffset now)
    {
        var earliest = PriceSchedule.NextChange(now);
        var from = draft.EffectiveFrom ?? earliest;
        if (versions.FirstOrDefault(other => other.EffectiveFrom > version.Price.EffectiveFrom && other.EffectiveFrom <= from) is { } follower)
        {
            return PriceRefusals.Followed(follower);
        }

        return version.Price.EffectiveTo <= earliest ? PriceRefusals.Ended(version) : null;
    }
}

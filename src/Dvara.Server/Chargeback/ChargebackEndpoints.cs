using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Dvara.Domain;
using Dvara.Domain.Statements;
using Dvara.Domain.Time;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Hosting.Idempotency;
using Dvara.Server.Metering;
using Microsoft.Net.Http.Headers;

namespace Dvara.Server.Chargeback;

internal static class ChargebackEndpoints
{
    private const string Path = "/v1/admin/chargeback";

    /// <summary>A page of statements with many lines ends early rather than fill the memory.</summary>
    private const long PageBytesMax = 8 << 20;

    private static readonly ApiError LedgerUnavailable = new(StatusCodes.Status503ServiceUnavailable, "server_error", "ledger_unavailable",
        "The ledger does not have all charges yet, so no statement was made. Try again.");

    public static void MapChargeback(this IEndpointRouteBuilder app)
    {
        var chargeback = app.MapGroup(Path).WithTags("Chargeback");
        chargeback.MapPost("/", CreateAsync).RequireScope("chargeback:write").WithoutQuery()
            .WithSummary("Make a tenant's statement; one complete, ended calendar month is closed by it");
        chargeback.MapGet("/", ListAsync).RequireScope("chargeback:read").WithSummary("List statements, newest first");
        chargeback.MapGet("/{id}", ReadAsync).RequireScope("chargeback:read").WithoutQuery().WithSummary("Read a statement");
        foreach (var format in new[] { DocumentFormat.Pdf, DocumentFormat.Csv, DocumentFormat.Json })
        {
            chargeback
                .MapGet($"/{{id}}/{format.Extension}", (string id, HttpContext httpContext, StatementStore store) =>
                    DownloadAsync(id, format, httpContext, store))
                .RequireScope("chargeback:read")
                .WithoutQuery()
                .WithSummary($"Download a statement as {format.Extension.ToUpperInvariant()}; always the same bytes");
        }
    }

    private static async Task<IResult> CreateAsync(HttpContext httpContext, IGrainFactory grains, StatementStore store, LedgerWriter ledger)
    {
        var (request, error) = await AdminJson.ReadAsync<ChargebackRequest>(httpContext);
        if (error is not null)
        {
            return error;
        }

        var (tenant, window, invalid) = request!.Read();
        if (invalid is not null)
        {
            return invalid;
        }

        if (!httpContext.Admin().MaySee(tenant))
        {
            return ApiError.NotFound("tenant");
        }

        // Calls that this silo has answered are on the statement, wherever its grain is; those of others follow within a second.
        var outcome = await ledger.TryFlushAsync()
            ? await GenerateAsync(grains.GetGrain<IChargebackGrain>(tenant.Value), OrderOf(httpContext, window))
            : new StatementOutcome { StatementId = default, Created = false, LedgerIsBehind = true };
        if (outcome is null)
        {
            return ApiError.NotFound("tenant");
        }

        if (outcome.LedgerIsBehind)
        {
            httpContext.Response.Headers.RetryAfter = "5";
            return LedgerUnavailable;
        }

        var statement = await store.FindAsync(new StatementId(outcome.StatementId), httpContext.RequestAborted)
            ?? throw new InvalidOperationException($"Statement {outcome.StatementId} was made and is not there.");
        httpContext.Response.Headers.Location = $"{Path}/{statement.Id}";
        return Resource(statement, outcome.Created ? StatusCodes.Status201Created : StatusCodes.Status200OK);
    }

    private static async Task<StatementOutcome?> GenerateAsync(IChargebackGrain grain, StatementOrder order)
    {
        try
        {
            return await grain.GenerateAsync(order);
        }
        catch (OrleansException)
        {
            // Its silo is gone, and it comes back on another one. A call that timed out may still be at work and is not sent twice.
            return await grain.GenerateAsync(order);
        }
    }

    private static StatementOrder OrderOf(HttpContext httpContext, TimeWindow window)
    {
        var claim = httpContext.Features.Get<IdempotencyClaim>();
        return new()
        {
            From = window.From,
            To = window.To,
            Actor = httpContext.Admin().Id,
            RequestId = httpContext.Response.Headers[RequestIdMiddleware.Header].ToString(),
            IdempotencyKey = claim?.Key,
            Fingerprint = claim?.Fingerprint,
        };
    }

    private static async Task<IResult> ListAsync(HttpContext httpContext, StatementStore store, CursorCodec cursors)
    {
        var query = new AdminQuery(httpContext.Request.Query);
        var (tenant, status, limit) = (query.Tenant(), query.Choice<StatementStatus>("status"), query.Limit());
        var within = query.Window(required: false);
        var admin = httpContext.Admin();
        var scope = string.Create(
            CultureInfo.InvariantCulture, $"{Path} {admin.TenantId} {tenant} {status} {within.From.UtcTicks} {within.To.UtcTicks}");
        StatementId? before = query.Cursor(cursors, scope) is { } position ? new(Guid.ParseExact(position, "D")) : null;
        if (query.Error() is { } error)
        {
            return error;
        }

        if (tenant is not null && !admin.MaySee(tenant))
        {
            return ApiError.NotFound("tenant");
        }

        var filter = new StatementFilter(tenant ?? admin.TenantId, status, within, before);
        // One more than asked for tells whether there is another page.
        var found = await store.ListAsync(filter, limit + 1, PageBytesMax, httpContext.RequestAborted);
        List<StoredStatement> items = [.. found.Statements.Take(limit)];
        var more = found.More || found.Statements.Count > limit;
        return Page(items, more ? cursors.Encode(scope, items[^1].Id.ToString()) : null, within);
    }

    private static async Task<IResult> ReadAsync(string id, HttpContext httpContext, StatementStore store)
    {
        var (statement, refusal) = await FindAsync(id, httpContext, store);
        return refusal is not null ? refusal : Resource(statement!, StatusCodes.Status200OK);
    }

    private static async Task<IResult> DownloadAsync(string id, DocumentFormat format, HttpContext httpContext, StatementStore store)
    {
        var (statement, refusal) = await FindAsync(id, httpContext, store);
        if (refusal is not null)
        {
            return refusal;
        }

        if (statement!.Status == StatementStatus.Failed)
        {
            return ApiError.Conflict($"Statement {statement.Id} failed and has no files. POST {Path} for its window again.");
        }

        var bytes = format == DocumentFormat.Json
            ? statement.Resource
            : await store.FindDocumentAsync(statement.Id, format, httpContext.RequestAborted);
        // Never a name of the tenant's: numbers and ids need no escaping anywhere.
        httpContext.Response.Headers.ContentDisposition = $"attachment; filename=\"{statement.FileName}.{format.Extension}\"";
        httpContext.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.Bytes(bytes, format.ContentType, entityTag: new EntityTagHeaderValue($"\"{StatementDocument.Digest(bytes)}\""));
    }

    /// <summary>The statement, if this caller may see it; a foreign one is as unknown as one that does not exist.</summary>
    private static async Task<(StoredStatement? Statement, ApiError? Refusal)> FindAsync(string id, HttpContext httpContext, StatementStore store)
    {
        var statement = Guid.TryParseExact(id, "D", out var guid)
            ? await store.FindAsync(new StatementId(guid), httpContext.RequestAborted)
            : null;
        return statement is not null && httpContext.Admin().MaySee(statement.TenantId)
            ? (statement, null)
            : (null, ApiError.NotFound("statement"));
    }

    /// <summary>The stored bytes, so that what is read and what is downloaded never differ.</summary>
    private static StoredJson Resource(StoredStatement statement, int status) => new StoredJson(statement.Resource, status);

    private static StoredJson Page(IReadOnlyList<StoredStatement> items, string? nextCursor, TimeWindow within)
    {
        var body = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(body, new JsonWriterOptions { Encoder = AdminJson.Options.Encoder }))
        {
            json.WriteStartObject();
            json.WriteStartArray("items");
            foreach (var item in items)
            {
                json.WriteRawValue(item.Resource, skipInputValidation: true);
            }

            json.WriteEndArray();
            json.WriteString("nextCursor", nextCursor);
            json.WriteString("from", Instants.Format(within.From));
            json.WriteString("to", Instants.Format(within.To));
            json.WriteEndObject();
        }

        return new StoredJson(body.WrittenMemory, StatusCodes.Status200OK);
    }

    /// <summary>Ready-made JSON with a status.</summary>
    private sealed class StoredJson(ReadOnlyMemory<byte> json, int status) : IResult
    {
        public async Task ExecuteAsync(HttpContext httpContext)
        {
            httpContext.Response.StatusCode = status;
            httpContext.Response.ContentType = "application/json; charset=utf-8";
            httpContext.Response.ContentLength = json.Length;
            await httpContext.Response.Body.WriteAsync(json, httpContext.RequestAborted);
        }
    }
}

using Dvara.Domain;
using Dvara.Domain.Time;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Chargeback;

/// <summary>The body of a POST, as text: every field is read, and every problem named, here.</summary>
internal sealed record ChargebackRequest : AdminRequest
{
    public string? TenantId { get; init; }

    public string? From { get; init; }

    public string? To { get; init; }

    public string? Period { get; init; }

    /// <returns>Whose statement of which window is asked for, or the 400.</returns>
    public (TenantId Tenant, TimeWindow Window, ApiError? Error) Read()
    {
        var errors = new List<FieldError>();
        var tenant = ReadTenant(errors);
        var window = Period is null ? ReadBounds(errors) : ReadPeriod(errors);
        CheckOthers(errors, "an order", "tenantId, from, to, period", "id");
        return (tenant, window, Refusal(errors));
    }

    private TenantId ReadTenant(List<FieldError> errors)
    {
        if (Guid.TryParseExact(TenantId, "D", out var tenant))
        {
            return new(tenant);
        }

        errors.Add(new("tenantId", TenantId is null ? "tenantId is required: the UUID of a tenant." : "tenantId is not a UUID."));
        return default;
    }

    private TimeWindow ReadPeriod(List<FieldError> errors)
    {
        if (From is not null || To is not null)
        {
            errors.Add(new("period", "period replaces from and to; send one or the other."));
        }

        return Accept("period", Instants.ParsePeriod(Period!), errors);
    }

    private TimeWindow ReadBounds(List<FieldError> errors)
    {
        var (known, from, to) = (errors.Count, ReadBound("from", From, Instants.Parse), ReadBound("to", To, Instants.ParseEnd));
        if (errors.Count == known && from > to)
        {
            errors.Add(new("from", "from must not be after to."));
        }

        return new(from, to);

        DateTimeOffset ReadBound(string name, string? text, Func<string, (DateTimeOffset, string?)> parse)
        {
            if (text is not null)
            {
                return Accept(name, parse(text), errors).CeilingToMillisecond();
            }

            errors.Add(new(name, $"{name} is required: a full instant such as 2026-04-01T00:00:00Z, or send period in place of both."));
            return default;
        }
    }

    private static T Accept<T>(string field, (T Value, string? Problem) parsed, List<FieldError> errors)
    {
        if (parsed.Problem is { } problem)
        {
            errors.Add(new(field, problem));
        }

        return parsed.Value;
    }
}

using System.Text.Json.Nodes;
using System.Text.Json;
using Dvara.Domain.Time;
using Dvara.Domain;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Hosting;

namespace Dvara.Server.Tenants;

/// <summary>What a caller wants a tenant to be, whole; everything is checked before anything is refused.</summary>
internal sealed record TenantRequest : AdminRequest
{
    /// <summary>Members whose own member names are data, and stay as they are.</summary>
    public static readonly string[] Verbatim = ["metadata", "tags"];

    private const int NameCharsMax = 200;
    private const int RegionCharsMax = 64;

    // Part of what reading answers, so that it can be sent back; never taken over.
    private static readonly string[] ReadOnly = ["id", "createdAt", "updatedAt"];

    /// <summary>1 to 200 characters after white space at its ends is cut off.</summary>
    public string? Name { get; init; }

    /// <summary>ACTIVE, SUSPENDED or CLOSED; absent: as it is, or ACTIVE for a new tenant.</summary>
    public string? Status { get; init; }

    public string? Region { get; init; }

    public Dictionary<string, JsonElement>? Metadata { get; init; }

    public Dictionary<string, JsonElement>? Tags { get; init; }

    /// <summary>Applies a merge patch (RFC 7396) to a tenant: what it does not name stays, null removes.</summary>
    public static TenantRequest Merge(Tenant tenant, JsonObject patch)
    {
        var merged = JsonSerializer.SerializeToNode(
            new { tenant.Name, status = tenant.Status.ContractName(), tenant.Region, tenant.Metadata, tenant.Tags }, AdminJson.Options)!.AsObject();
        return AdminJson.Deserialize<TenantRequest>(MergePatch.Apply(merged, patch));
    }

    /// <summary>The tenant as asked for, or why not: 400 for what is malformed, then 409 for a closed one that should open.</summary>
    /// <param name="before">The tenant as it is; null: it is new.</param>
    /// <param name="now">The time of the change.</param>
    public (Tenant? Tenant, ApiError? Error) ToTenant(Tenant? before, DateTimeOffset now)
    {
        var errors = new List<FieldError>();
        var name = ReadName(errors);
        var status = ReadStatus(before, errors);
        CheckRegion(errors);
        var metadata = StringMap.Metadata.Read(Metadata, errors);
        var tags = StringMap.Tags.Read(Tags, errors);
        CheckOthers(errors, "a tenant", "name, status, region, metadata, tags", ReadOnly);
        if (Refusal(errors) is { } refusal)
        {
            return (null, refusal);
        }

        if (before?.Status == TenantStatus.Closed && status != TenantStatus.Closed)
        {
            return (null, ApiError.Conflict("The tenant is closed and stays closed; make another tenant."));
        }

        var at = now.FloorToMillisecond();
        return (new()
        {
            Id = before?.Id ?? new TenantId(Uuid7.At(at)),
            Name = name,
            Status = status,
            Region = Region,
            Metadata = metadata,
            Tags = tags,
            CreatedAt = before?.CreatedAt ?? at,
            UpdatedAt = before is null ? at : before.NextUpdate(at),
        }, null);
    }

    private string ReadName(List<FieldError> errors)
    {
        var name = Name?.Trim() ?? "";
        if (name.Length is 0 or > NameCharsMax || Name!.Any(char.IsControl))
        {
            errors.Add(new("name", $"name is required: 1 to {NameCharsMax} characters, no control characters."));
        }

        return name;
    }

    private TenantStatus ReadStatus(Tenant? before, List<FieldError> errors)
    {
        var current = before?.Status ?? TenantStatus.Active;
        var status = Status is null ? current : ContractNames.Parse<TenantStatus>(Status);
        if (status is null)
        {
            errors.Add(new("status", "status must be one of ACTIVE, SUSPENDED, CLOSED."));
        }
        else if (before is null && status == TenantStatus.Closed)
        {
            errors.Add(new("status", "status of a new tenant must be ACTIVE or SUSPENDED."));
        }

        return status ?? current;
    }

    private void CheckRegion(List<FieldError> errors)
    {
        if (Region is not null && (string.IsNullOrWhiteSpace(Region) || Region.Length > RegionCharsMax || Region.Any(char.IsControl)))
        {
            errors.Add(new("region", $"region must have 1 to {RegionCharsMax} characters, no control characters; leave it out for none."));
        }
    }
}

using Dvara.Domain.Pricing;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Pricing;

/// <summary>Says in words why a price cannot be changed as asked.</summary>
internal static class PriceRefusals
{
    public static ApiError NotFound() => ApiError.NotFound("price");

    public static ApiError Builtin() =>
        ApiError.Conflict("This price is shipped with the product. POST a price of the same provider and model: yours comes first.");

    public static ApiError Everybodys() => new(
        StatusCodes.Status403Forbidden, "permission_error", "missing_scope",
        "This admin token is narrowed to a tenant; a price of all tenants needs one that is not. POST a price for the tenant instead.");

    public static ApiError Ended(PriceVersion version) => ApiError.Conflict(
        $"This version ends at {Instants.Format(version.Price.EffectiveTo!.Value)} and charges may stand on it. POST a price to go on from there.");

    public static ApiError Followed(Price by) => ApiError.Conflict(
        $"The version {by.Id} follows this one at {Instants.Format(by.EffectiveFrom)}. PUT or DELETE that one.");

    /// <summary>400 for what the time of the call rules out, 409 for what another version does.</summary>
    public static ApiError Of(PriceOpening opening)
    {
        var problem = Describe(opening);
        return opening.Refusal == PriceRefusal.Overlap ? ApiError.Conflict(problem.Message) : ApiError.Validation([problem]);
    }

    public static FieldError Describe(PriceOpening opening) => opening.Refusal switch
    {
        PriceRefusal.TooEarly => new("effectiveFrom",
            $"This price exists, so it changes no earlier than {PriceSchedule.Notice.TotalSeconds:0} seconds from now: "
            + $"{Instants.Format(opening.Limit)}. Leave effectiveFrom out to take the earliest."),
        PriceRefusal.Empty => new("effectiveTo", $"effectiveTo must be after the start, {Instants.Format(opening.Limit)}."),
        PriceRefusal.Overlap => new("effectiveTo",
            $"The price overlaps a version that starts at {Instants.Format(opening.Limit)}. End it there with effectiveTo, or change that version."),
        _ => throw new ArgumentOutOfRangeException(nameof(opening), opening.Refusal, "Nothing was refused."),
    };
}

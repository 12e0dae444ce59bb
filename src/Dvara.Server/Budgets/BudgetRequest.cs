using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Dvara.Domain;
using Dvara.Domain.Budgets;
using Dvara.Domain.Time;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;
using Dvara.Server.Tenants;

namespace Dvara.Server.Budgets;

/// <summary>
/// What a caller wants a budget to be, whole; everything is checked before anything is refused. Scope, period and zone of one that exists
/// may be said, not changed: what has been spent would not be what the new ones mean.
/// </summary>
internal sealed partial record BudgetRequest : AdminRequest
{
    private const int NameCharsMax = 200;
    private const int ModelCharsMax = 200;
    private const int TagValueCharsMax = 256;
    private const long TokensMax = 10_000_000;
    private const int WaitMsMax = 60_000;

    // Enough for the largest limit with all its decimals; a longer one could not be read exactly.
    private const int MoneyCharsMax = 24;

    private const string Fields = "tenantId, apiKeyId, tag, model, name, period, timeZone, limitUsd, softLimitPct, enabled, mode, onShortfall, "
        + "assumedMaxOutputTokens, holdWaitMs";

    // Part of what reading answers, so that it can be sent back; never taken over.
    private static readonly string[] ReadOnly = ["id", "provenance", "createdAt", "updatedAt"];

    // Members of the body: a null is said, an absent one is not.
    private HashSet<string> _given = [];

    public TenantId? TenantId { get; init; }

    /// <summary>Brings its tenant along.</summary>
    public ApiKeyId? ApiKeyId { get; init; }

    public TagRequest? Tag { get; init; }

    /// <summary>As it is sent to the provider, or <c>provider/model</c>; a prefix where it ends with <c>*</c>.</summary>
    public string? Model { get; init; }

    /// <summary>1 to 200 characters after white space at its ends is cut off.</summary>
    public string? Name { get; init; }

    /// <summary>DAILY, WEEKLY, MONTHLY, or DAY, WEEK, MONTH.</summary>
    public string? Period { get; init; }

    /// <summary>Absent: UTC.</summary>
    public string? TimeZone { get; init; }

    /// <summary>A number, or a text for clients whose numbers are floating point.</summary>
    public JsonElement LimitUsd { get; init; }

    /// <summary>Absent: 80; null: none.</summary>
    public JsonElement SoftLimitPct { get; init; }

    public bool? Enabled { get; init; }

    public string? Mode { get; init; }

    public string? OnShortfall { get; init; }

    public JsonElement AssumedMaxOutputTokens { get; init; }

    public JsonElement HoldWaitMs { get; init; }

    public static BudgetRequest Of(JsonObject body)
    {
        var given = body.Select(member => member.Key).ToHashSet(StringComparer.Ordinal);
        return AdminJson.Deserialize<BudgetRequest>(body) with { _given = given };
    }

    /// <summary>Applies a merge patch (RFC 7396) to a budget: what it does not name stays, null takes back what was said.</summary>
    public static BudgetRequest Merge(Cap cap, JsonObject patch)
    {
        var merged = MergePatch.Apply(JsonSerializer.SerializeToNode(BudgetAnswer.Of(cap), AdminJson.Options)!.AsObject(), patch);
        foreach (var (name, _) in patch.Where(member => member.Value is null))
        {
            // Removed is not enough: an absent softLimitPct is the usual one.
            merged[name] = null;
        }

        return Of(merged);
    }

    /// <returns>Null for what is no period.</returns>
    public static CapPeriod? ParsePeriod(string text) => text.ToUpperInvariant() switch
    {
        "DAY" => CapPeriod.Daily,
        "WEEK" => CapPeriod.Weekly,
        "MONTH" => CapPeriod.Monthly,
        var name => ContractNames.Parse<CapPeriod>(name),
    };

    /// <summary>A new budget as asked for, or the 400. Whether its tenant and key exist is not looked at, only whether the caller may name them.</summary>
    public (Cap? Cap, ApiError? Error) ToNew(AdminActor caller, DateTimeOffset now)
    {
        var errors = new List<FieldError>();
        if (TenantId is { } tenant && !caller.MaySee(tenant))
        {
            errors.Add(BudgetRefusals.NoSuchTenant);
        }

        var at = now.FloorToMillisecond();
        var cap = Read(
            new()
            {
                Id = new CapId(Uuid7.At(at)),
                TenantId = caller.TenantId ?? TenantId,
                // Which line it is of is looked up where the cap is made.
                Key = ApiKeyId is { } key ? new CapKey(key, KeyLineId.Of(key)) : null,
                Tag = ReadTag(errors),
                Model = ReadModel(errors),
                Name = "",
                Period = ReadPeriod(errors) ?? default,
                TimeZone = ReadZone(errors),
                Limit = Usd.Zero,
                Provenance = caller.TenantId is null ? CapProvenance.Platform : CapProvenance.Tenant,
                CreatedAt = at,
                UpdatedAt = at,
            },
            errors);
        return Refusal(errors) is { } refusal ? (null, refusal) : (cap, null);
    }

    /// <summary>The budget <paramref name="before"/> as it is to be, or the 400.</summary>
    public (Cap? Cap, ApiError? Error) ToNext(Cap before, DateTimeOffset now)
    {
        var errors = new List<FieldError>();
        CheckFixed("tenantId", TenantId, before.TenantId, errors);
        CheckFixed("apiKeyId", ApiKeyId, before.Key?.Named, errors);
        CheckFixed("tag", () => ReadTag(errors), before.Tag, errors);
        CheckFixed("model", Model, before.Model, errors);
        CheckFixed("period", () => ReadPeriod(errors), before.Period, errors);
        CheckFixed("timeZone", () => ReadZone(errors), before.TimeZone, errors);
        var at = now.FloorToMillisecond();
        // Later than the last one even where the clock is not: it stands in the ETag.
        var next = Read(before with { UpdatedAt = at > before.UpdatedAt ? at : before.UpdatedAt.AddMilliseconds(1) }, errors);
        return Refusal(errors) is { } refusal ? (null, refusal) : (next, null);
    }

    /// <summary>Everything that may change.</summary>
    private Cap Read(Cap cap, List<FieldError> errors)
    {
        var next = cap with
        {
            Name = ReadName(errors),
            Limit = ReadLimit(errors),
            SoftPct = SoftLimitPct.ValueKind == JsonValueKind.Undefined
                ? Cap.SoftPctDefault
                : (int?)Whole("softLimitPct", SoftLimitPct, 1, 100, errors),
            Enabled = Enabled ?? true,
            Mode = Choice("mode", Mode, CapMode.Strict, errors),
            OnShortfall = Choice("onShortfall", OnShortfall, Shortfall.Clamp, errors),
            AssumedMaxOutputTokens =
                Whole("assumedMaxOutputTokens", AssumedMaxOutputTokens, 1, TokensMax, errors) ?? Cap.AssumedMaxOutputTokensDefault,
            HoldWaitMs = (int)(Whole("holdWaitMs", HoldWaitMs, 0, WaitMsMax, errors) ?? Cap.HoldWaitMsDefault),
        };
        CheckOthers(errors, "a budget", Fields, ReadOnly);
        return next;
    }

    private void CheckFixed<T>(string field, T given, T current, List<FieldError> errors) => CheckFixed(field, () => given, current, errors);

    private void CheckFixed<T>(string field, Func<T> read, T current, List<FieldError> errors)
    {
        var known = errors.Count;
        if (_given.Contains(field) && !EqualityComparer<T>.Default.Equals(read(), current) && errors.Count == known)
        {
            errors.Add(new(field, $"{field} of a budget cannot be changed; delete the budget and make another."));
        }
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

    private CapTag? ReadTag(List<FieldError> errors)
    {
        if (Tag is not { } tag)
        {
            return null;
        }

        if (tag is { Key: { Length: >= 1 and <= StringMap.KeyCharsMax } key, Value: { Length: <= TagValueCharsMax } value, Others: null }
            && !key.Any(char.IsControl) && !value.Contains('\0', StringComparison.Ordinal))
        {
            return new CapTag(key, value);
        }

        errors.Add(new("tag", $"tag must have a key of 1 to {StringMap.KeyCharsMax} characters, no control characters, and a value of at most "
            + $"{TagValueCharsMax}, none of them NUL, such as {{\"key\":\"team\",\"value\":\"search\"}}."));
        return null;
    }

    private string? ReadModel(List<FieldError> errors)
    {
        if (Model is { } model
            && (model.Length is 0 or > ModelCharsMax || model.Any(c => char.IsControl(c) || char.IsWhiteSpace(c)) || model.AsSpan()[..^1].Contains('*')))
        {
            errors.Add(new("model",
                $"model must be named as the provider knows it, 1 to {ModelCharsMax} characters, no white space, with * only at the end, such as gpt-4o*."));
        }

        return Model;
    }

    private CapPeriod? ReadPeriod(List<FieldError> errors)
    {
        var period = Period is null ? null : ParsePeriod(Period);
        if (period is null)
        {
            errors.Add(new("period", "period is required: one of DAILY, WEEKLY, MONTHLY."));
        }

        return period;
    }

    private string ReadZone(List<FieldError> errors)
    {
        var zone = TimeZone ?? "UTC";
        if (!PeriodCalendar.IsZone(zone))
        {
            errors.Add(new("timeZone", "timeZone must be an IANA time zone in its exact spelling, such as UTC or Europe/Berlin."));
        }

        return zone;
    }

    private Usd ReadLimit(List<FieldError> errors)
    {
        var text = LimitUsd.ValueKind switch
        {
            JsonValueKind.String => LimitUsd.GetString()!,
            JsonValueKind.Number => LimitUsd.GetRawText(),
            _ => "",
        };
        if (text.Length <= MoneyCharsMax && MoneyShape().IsMatch(text))
        {
            var usd = decimal.Parse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);
            if (usd <= Cap.LimitUsdMax && decimal.Round(usd, Usd.Decimals) == usd)
            {
                return Usd.FromDecimal(usd);
            }
        }

        errors.Add(new("limitUsd", $"limitUsd is required: US dollars from 0 to {Cap.LimitUsdMax} as a plain decimal with at most {Usd.Decimals} "
            + "decimals, such as 250.5: no sign, exponent, currency or comma."));
        return Usd.Zero;
    }

    /// <returns>Null: it is absent, null or wrong.</returns>
    private static long? Whole(string field, JsonElement given, long min, long max, List<FieldError> errors)
    {
        if (given.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
        {
            return null;
        }

        if (given.ValueKind == JsonValueKind.Number && given.TryGetInt64(out var number) && number >= min && number <= max)
        {
            return number;
        }

        errors.Add(new(field, $"{field} must be a whole number from {min} to {max}."));
        return null;
    }

    private static T Choice<T>(string field, string? given, T absent, List<FieldError> errors)
        where T : struct, Enum
    {
        if (given is null)
        {
            return absent;
        }

        if (ContractNames.Parse<T>(given.ToUpperInvariant()) is { } known)
        {
            return known;
        }

        errors.Add(new(field, $"{field} must be one of {string.Join(", ", Enum.GetValues<T>().Select(value => value.ContractName()))}."));
        return absent;
    }

    // \z, not $: that would let a line feed pass at the end. [0-9], not \d: that would let digits of other scripts pass.
    [GeneratedRegex(@"^[0-9]+(\.[0-9]+)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex MoneyShape();

    internal sealed record TagRequest
    {
        public string? Key { get; init; }

        public string? Value { get; init; }

        [JsonExtensionData]
        public Dictionary<string, JsonElement>? Others { get; init; }
    }
}

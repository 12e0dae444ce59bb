using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Dvara.Domain;
using Dvara.Domain.Pricing;
using Dvara.Domain.Time;
using Dvara.Providers;
using Dvara.Server.Hosting;
using Dvara.Server.Hosting.AdminApi;

namespace Dvara.Server.Pricing;

/// <summary>
/// Reads a price from named texts: a JSON body or a row of a CSV file, by the same rules. Money is never read through floating point, so
/// a number keeps every digit it was written with. Every problem is collected.
/// </summary>
internal sealed partial class PriceFields
{
    /// <summary>Largest rate and amount: 1,000,000 USD, which is 1 USD per token. More is a slip of the unit.</summary>
    private const long UsdMax = 1_000_000;

    private const int ModelCharsMax = 256;
    private const int UrlCharsMax = 2048;

    // Enough for the largest amount with all its decimals; a longer one could not be read exactly.
    private const int MoneyCharsMax = 24;

    private static readonly string[] Known =
    [
        "provider", "model", "inputPerMillionUsd", "outputPerMillionUsd", "cachedInputPerMillionUsd", "cacheWritePerMillionUsd",
        "reasoningPerMillionUsd", "perRequestUsd", "maxOutputTokens", "tenantId", "effectiveFrom", "effectiveTo", "sourceUrl", "checkedOn",
    ];

    // What a read answers beyond that: sent back unchanged, it is no mistake.
    private static readonly string[] ReadOnly = ["id", "source"];

    private readonly Dictionary<string, string> _texts = new(StringComparer.Ordinal);
    private readonly List<FieldError> _errors = [];

    public IReadOnlyList<FieldError> Errors => _errors;

    public static bool IsKnown(string name) => Known.Contains(name);

    public static string KnownNames => string.Join(", ", Known);

    public static PriceFields Of(JsonObject body)
    {
        var fields = new PriceFields();
        foreach (var (name, value) in body)
        {
            switch (value?.GetValueKind())
            {
                case null or JsonValueKind.Null:
                    fields.CheckName(name);
                    break;
                case JsonValueKind.String:
                    fields.Add(name, value.GetValue<string>());
                    break;
                // An amount may be a text, for clients whose numbers are floating point.
                case JsonValueKind.Number when IsNumber(name) || !IsKnown(name):
                    fields.Add(name, value.ToJsonString());
                    break;
                default:
                    fields.Fail(name, $"{name} must be a {(IsNumber(name) ? "number" : "text")}.");
                    break;
            }
        }

        return fields;
    }

    /// <param name="name">camelCase.</param>
    /// <param name="text">As written; absent where empty.</param>
    public void Add(string name, string text)
    {
        if (name == "source" && text != PriceSource.Custom.ContractName())
        {
            Fail(name, $"source of a price that is written is {PriceSource.Custom.ContractName()}; leave it out.");
        }

        if (CheckName(name) && text.Length > 0)
        {
            _texts[name] = text;
        }
    }

    /// <summary>Says of a part that cannot change what it is; giving another value is an error.</summary>
    public void Fix(string name, string? value)
    {
        if (_texts.TryGetValue(name, out var given) && !string.Equals(given, value, StringComparison.OrdinalIgnoreCase))
        {
            Fail(name, $"{name} of a price cannot be changed; POST a price for the other one.");
        }

        if (value is null)
        {
            _texts.Remove(name);
        }
        else
        {
            _texts[name] = value;
        }
    }

    public void Fail(string field, string message) => _errors.Add(new(field, message));

    /// <returns>Null when there are <see cref="Errors"/>.</returns>
    public PriceDraft? ToDraft()
    {
        var draft = new PriceDraft
        {
            TenantId = Tenant(),
            Provider = Text("provider", ProviderShape(), "must be 1 to 64 characters of a-z, 0-9, dot, dash and underscore, such as openai"),
            Model = Text("model", ModelShape(), $"must be 1 to {ModelCharsMax} visible ASCII characters, with * at the end only"),
            InputRate = Rate("inputPerMillionUsd") ?? Missing("inputPerMillionUsd"),
            OutputRate = Rate("outputPerMillionUsd") ?? Missing("outputPerMillionUsd"),
            CachedInputRate = Rate("cachedInputPerMillionUsd"),
            CacheWriteRate = Rate("cacheWritePerMillionUsd"),
            ReasoningRate = Rate("reasoningPerMillionUsd"),
            PerRequest = Money("perRequestUsd", Usd.Decimals) is { } usd ? Usd.FromDecimal(usd) : null,
            MaxOutputTokens = Tokens(),
            EffectiveFrom = Instant("effectiveFrom", Instants.Parse),
            EffectiveTo = Instant("effectiveTo", Instants.ParseEnd),
            SourceUrl = Url(),
            CheckedOn = Date(),
        };
        if (draft.Model.StartsWith(draft.Provider + "/", StringComparison.Ordinal) && ProviderNames.NamesAreBare(draft.Provider))
        {
            // No call would ever find it.
            Fail("model", $"model is the name alone, without its provider: {draft.Model[(draft.Provider.Length + 1)..]}.");
        }

        if (draft.EffectiveTo <= draft.EffectiveFrom)
        {
            Fail("effectiveTo", "effectiveTo must be after effectiveFrom.");
        }

        return _errors.Count == 0 ? draft : null;
    }

    private bool CheckName(string name)
    {
        if (!IsKnown(name) && !ReadOnly.Contains(name))
        {
            Fail(name, $"{name} is not a field of a price; it has {KnownNames}.");
        }

        return IsKnown(name);
    }

    private static bool IsNumber(string name) => name.EndsWith("Usd", StringComparison.Ordinal) || name == "maxOutputTokens";

    private string? Text(string name) => _texts.GetValueOrDefault(name);

    private string Text(string name, Regex shape, string rule)
    {
        var text = Text(name);
        if (text is null)
        {
            Miss(name, $"{name} is required.");
        }
        else if (!shape.IsMatch(text))
        {
            Fail(name, $"{name} {rule}.");
        }

        return text ?? "";
    }

    private long Missing(string name)
    {
        Miss(name, $"{name} is required: US dollars per million tokens, such as 2.5.");
        return 0;
    }

    /// <summary>Unless a problem with what was given has been told already.</summary>
    private void Miss(string name, string message)
    {
        if (!_errors.Exists(error => error.Field == name))
        {
            Fail(name, message);
        }
    }

    /// <summary>USD per million tokens with 6 decimals is a whole number of pico-dollars per token.</summary>
    private long? Rate(string name) => Money(name, decimals: 6) is { } usd ? (long)(usd * 1_000_000) : null;

    private decimal? Money(string name, int decimals)
    {
        if (Text(name) is not { } text)
        {
            return null;
        }

        if (text.Length > MoneyCharsMax || !MoneyShape().IsMatch(text))
        {
            Fail(name, $"{name} must be US dollars as a plain decimal such as 2.5: no sign, exponent, currency or comma.");
            return null;
        }

        var usd = decimal.Parse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture);
        if (decimal.Round(usd, decimals) != usd)
        {
            Fail(name, $"{name} has at most {decimals} decimals.");
            return null;
        }

        if (usd > UsdMax)
        {
            Fail(name, $"{name} is at most {UsdMax} US dollars.");
            return null;
        }

        return usd;
    }

    private int? Tokens()
    {
        if (Text("maxOutputTokens") is not { } text)
        {
            return null;
        }

        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var tokens) && tokens > 0)
        {
            return tokens;
        }

        Fail("maxOutputTokens", $"maxOutputTokens must be a whole number from 1 to {int.MaxValue}.");
        return null;
    }

    private TenantId? Tenant()
    {
        if (Text("tenantId") is not { } text)
        {
            return null;
        }

        if (Guid.TryParseExact(text, "D", out var id))
        {
            return new TenantId(id);
        }

        Fail("tenantId", "tenantId is not a UUID.");
        return null;
    }

    private DateTimeOffset? Instant(string name, Func<string, (DateTimeOffset Instant, string? Problem)> parse)
    {
        if (Text(name) is not { } text)
        {
            return null;
        }

        var (instant, problem) = parse(text);
        if (problem is not null)
        {
            Fail(name, $"{name}: {problem}");
            return null;
        }

        return instant.CeilingToMillisecond();
    }

    private string? Url()
    {
        if (Text("sourceUrl") is { } text
            && (text.Length > UrlCharsMax || !Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https")))
        {
            Fail("sourceUrl", $"sourceUrl must be an http or https address of at most {UrlCharsMax} characters.");
        }

        return Text("sourceUrl");
    }

    private DateOnly? Date()
    {
        if (Text("checkedOn") is not { } text)
        {
            return null;
        }

        if (DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var date))
        {
            return date;
        }

        Fail("checkedOn", "checkedOn must be a date such as 2026-04-01.");
        return null;
    }

    [GeneratedRegex(@"^[a-z0-9][a-z0-9._-]{0,63}\z", RegexOptions.CultureInvariant)]
    private static partial Regex ProviderShape();

    [GeneratedRegex(@"^(?=.{1,256}\z)[!-)+-~]*\*?\z", RegexOptions.CultureInvariant)]
    private static partial Regex ModelShape();

    [GeneratedRegex(@"^[0-9]+(\.[0-9]+)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex MoneyShape();
}

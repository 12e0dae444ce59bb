using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Dvara.Domain;

namespace Dvara.Server.Hosting.AdminApi;

/// <summary>JSON of the admin API: camelCase out, both spellings in, instants with <c>Z</c>, money as plain decimals.</summary>
internal static class AdminJson
{
    /// <summary>Largest accepted admin body, bytes. A price import is larger and has a limit of its own.</summary>
    public const int MaxBodyBytes = 1 << 20;

    public static readonly JsonSerializerOptions Options = Configure(new JsonSerializerOptions(JsonSerializerDefaults.Web));

    public static JsonSerializerOptions Configure(JsonSerializerOptions options)
    {
        options.PropertyNamingPolicy = JsonNamingPolicy.CamelCase;
        options.PropertyNameCaseInsensitive = false;
        options.AllowDuplicateProperties = false;
        options.NumberHandling = JsonNumberHandling.Strict;
        options.RespectNullableAnnotations = true;
        options.DefaultIgnoreCondition = JsonIgnoreCondition.Never;
        // Names are data for machines; a console escapes them itself.
        options.Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;
        options.Converters.Add(new UsdConverter());
        options.Converters.Add(new InstantConverter());
        options.Converters.Add(new IdConverter<TenantId>(value => new(value), id => id.Value));
        options.Converters.Add(new IdConverter<ApiKeyId>(value => new(value), id => id.Value));
        options.Converters.Add(new IdConverter<RequestId>(value => new(value), id => id.Value));
        options.Converters.Add(new IdConverter<AttemptId>(value => new(value), id => id.Value));
        options.Converters.Add(new IdConverter<PriceId>(value => new(value), id => id.Value));
        options.Converters.Add(new IdConverter<StatementId>(value => new(value), id => id.Value));
        options.Converters.Add(new IdConverter<JournalId>(value => new(value), id => id.Value));
        options.Converters.Add(new IdConverter<AdminTokenId>(value => new(value), id => id.Value));
        options.Converters.Add(new IdConverter<CapId>(value => new(value), id => id.Value));
        return options;
    }

    /// <summary>
    /// Reads a JSON object whose member names may be camelCase or snake_case.
    /// Members of <paramref name="verbatim"/> (maps such as <c>tags</c>) keep their own keys.
    /// </summary>
    /// <returns>The value, or the 400 or 415 to answer with.</returns>
    public static async Task<(T? Value, ApiError? Error)> ReadAsync<T>(HttpContext httpContext, params string[] verbatim)
        where T : AdminRequest
    {
        var (node, error) = await ReadObjectAsync(httpContext, verbatim);
        return error is null ? (Deserialize<T>(node!), null) : (null, error);
    }

    /// <summary>An object of <see cref="ReadObjectAsync"/> as a request; members that do not fit go to its <see cref="AdminRequest.Misfits"/>.</summary>
    public static T Deserialize<T>(JsonObject node)
        where T : AdminRequest
    {
        List<FieldError> misfits = [];
        while (true)
        {
            try
            {
                return node.Deserialize<T>(Options)! with { Misfits = misfits };
            }
            catch (JsonException exception)
            {
                // Reading stops at the first that does not fit; without that member it comes to the next.
                var path = exception.Path?.TrimStart('$', '.') ?? "";
                var member = path.Split('.', '[')[0];
                misfits.Add(new(path, exception is ValueException ? $"{path}: {exception.Message}" : $"{path} has the wrong type or an impossible value."));
                if (!node.Remove(member))
                {
                    throw new InvalidOperationException($"A member at {path} does not fit and is not there.", exception);
                }
            }
        }
    }

    /// <summary>The body as an object with camelCase member names; PATCH uses it to tell an absent member from null.</summary>
    public static async Task<(JsonObject? Value, ApiError? Error)> ReadObjectAsync(HttpContext httpContext, params string[] verbatim)
    {
        if (!httpContext.Request.HasJsonContentType())
        {
            return (null, new ApiError(StatusCodes.Status415UnsupportedMediaType, "invalid_request_error", "unsupported_media_type",
                "The body must be JSON: send Content-Type: application/json."));
        }

        try
        {
            var parsed = await JsonSerializer.DeserializeAsync<JsonNode>(httpContext.Request.Body, Options, httpContext.RequestAborted);
            return parsed is JsonObject body
                ? Normalise(body, verbatim)
                : (null, ApiError.Validation("", "The body must be a JSON object."));
        }
        catch (JsonException exception)
        {
            return (null, InvalidJson(exception.LineNumber is { } line
                ? $"it breaks off or goes wrong at line {line + 1}, byte {exception.BytePositionInLine + 1}."
                : "an object has two members of the same name."));
        }
        catch (ArgumentException)
        {
            // Nodes say so of a member that is there twice, where other types throw a JsonException.
            return (null, InvalidJson("an object has two members of the same name."));
        }
    }

    /// <summary><c>tenant_id</c> becomes <c>tenantId</c>; anything else stays.</summary>
    public static string ToCamelCase(string name)
    {
        if (!name.Contains('_', StringComparison.Ordinal))
        {
            return name;
        }

        var parts = name.Split('_', StringSplitOptions.RemoveEmptyEntries);
        return parts.Length == 0
            ? name
            : parts[0] + string.Concat(parts.Skip(1).Select(p => char.ToUpperInvariant(p[0]) + p[1..]));
    }

    private static ApiError InvalidJson(string why) =>
        new(StatusCodes.Status400BadRequest, "invalid_request_error", "invalid_json", $"The body is not valid JSON: {why}");

    private static (JsonObject? Value, ApiError? Error) Normalise(JsonObject body, string[] verbatim)
    {
        var result = new JsonObject();
        foreach (var (name, value) in body)
        {
            var camel = ToCamelCase(name);
            var copy = value?.DeepClone();
            if (result.TryGetPropertyValue(camel, out var other))
            {
                if (!JsonNode.DeepEquals(other, copy))
                {
                    return (null, ApiError.Validation(camel, $"{camel} is given twice with different values."));
                }

                continue;
            }

            if (copy is JsonObject nested && !verbatim.Contains(camel))
            {
                var (inner, error) = Normalise(nested, verbatim);
                if (error is not null)
                {
                    return (null, error);
                }

                copy = inner;
            }

            result[camel] = copy;
        }

        return (result, null);
    }

    /// <summary>The message tells a caller what to write instead.</summary>
    private sealed class ValueException(string message) : JsonException(message);

    private sealed class UsdConverter : JsonConverter<Usd>
    {
        public override Usd Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetDecimal(out var value))
            {
                throw new ValueException("An amount is a decimal number.");
            }

            try
            {
                return Usd.FromDecimal(value);
            }
            catch (ArgumentOutOfRangeException)
            {
                throw new ValueException("An amount has at most 12 decimals.");
            }
        }

        public override void Write(Utf8JsonWriter writer, Usd value, JsonSerializerOptions options) =>
            writer.WriteRawValue(value.ToString(), skipInputValidation: true);
    }

    private sealed class InstantConverter : JsonConverter<DateTimeOffset>
    {
        public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            var (instant, problem) = Instants.Parse(reader.GetString() ?? "");
            return problem is null ? instant : throw new ValueException(problem);
        }

        public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
            writer.WriteStringValue(Instants.Format(value));
    }

    private sealed class IdConverter<T>(Func<Guid, T> make, Func<T, Guid> value) : JsonConverter<T>
    {
        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.String && Guid.TryParseExact(reader.GetString(), "D", out var guid)
                ? make(guid)
                : throw new ValueException("An id is a UUID.");

        public override void Write(Utf8JsonWriter writer, T id, JsonSerializerOptions options) =>
            writer.WriteStringValue(value(id).ToString("D", CultureInfo.InvariantCulture));
    }
}

using System.Globalization;
using Dvara.Domain;
using Dvara.Domain.Time;
using Microsoft.Extensions.Primitives;

namespace Dvara.Server.Hosting.AdminApi;

/// <summary>
/// Reads a query string strictly: every parameter is asked for by its camelCase name (snake_case is the same parameter), every
/// problem is collected, and what nobody asked for is an error too.
/// </summary>
internal sealed class AdminQuery
{
    public const int DefaultLimit = 50;
    public const int MaxLimit = 1000;

    private readonly Dictionary<string, List<string>> _given = new(StringComparer.Ordinal);
    private readonly HashSet<string> _asked = new(StringComparer.Ordinal);
    private readonly List<FieldError> _errors = [];

    public AdminQuery(IQueryCollection query)
    {
        foreach (var (name, values) in query)
        {
            // What stands behind a point is a key of the caller's own, such as metadata.cost_centre.
            Add(name.Contains('.', StringComparison.Ordinal) ? name : AdminJson.ToCamelCase(name), values);
        }
    }

    public string? Text(string name)
    {
        var values = All(name);
        if (values.Count > 1)
        {
            Fail(name, $"{name} is given twice with different values.");
        }

        return values.Count == 0 ? null : values[0];
    }

    /// <summary>Every value of a parameter that may be given several times, each once.</summary>
    public IReadOnlyList<string> All(string name)
    {
        _asked.Add(name);
        return _given.TryGetValue(name, out var values) ? values : [];
    }

    /// <summary>Every <c>name.key=value</c> by its key, which is the caller's own and stays as it is.</summary>
    public IReadOnlyDictionary<string, string> Map(string name)
    {
        _asked.Add($"{name}.<key>");
        var map = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var given in _given.Keys.Where(given => given.StartsWith($"{name}.", StringComparison.Ordinal)))
        {
            map[given[(name.Length + 1)..]] = _given[given][0];
            if (_given[given].Count > 1)
            {
                Fail(given, $"{given} is given twice with different values.");
            }
        }

        _asked.UnionWith(map.Keys.Select(key => $"{name}.{key}"));
        return map;
    }

    public TenantId? Tenant(string name = "tenantId") => Id(name, value => new TenantId(value));

    public T? Id<T>(string name, Func<Guid, T> make)
        where T : struct
    {
        if (Text(name) is not { } text)
        {
            return null;
        }

        if (Guid.TryParseExact(text, "D", out var guid))
        {
            return make(guid);
        }

        Fail(name, $"{name} is not a UUID.");
        return null;
    }

    public T? Choice<T>(string name)
        where T : struct, Enum
    {
        if (Text(name) is not { } text)
        {
            return null;
        }

        // By name alone: TryParse would also take numbers and lists.
        if (Enum.GetNames<T>().FirstOrDefault(n => n.Equals(text, StringComparison.OrdinalIgnoreCase)) is { } known)
        {
            return Enum.Parse<T>(known);
        }

        Fail(name, $"{name} must be one of {string.Join(", ", Enum.GetNames<T>().Select(n => n.ToUpperInvariant()))}.");
        return null;
    }

    /// <summary>Where the page before ended; null for the first page, and for a cursor that is not of this list.</summary>
    /// <param name="cursors">Made it.</param>
    /// <param name="scope">What it must belong to: the path and every filter.</param>
    public string? Cursor(CursorCodec cursors, string scope)
    {
        if (Text("cursor") is not { } cursor)
        {
            return null;
        }

        var position = cursors.Decode(scope, cursor);
        if (position is null)
        {
            Fail("cursor", "cursor is not one of this list; start again without it, or send it with the filters it came with.");
        }

        return position;
    }

    /// <summary>Rows of a page: 50 where absent, 1 to 1000.</summary>
    public int Limit()
    {
        if (Text("limit") is not { } text)
        {
            return DefaultLimit;
        }

        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit is >= 1 and <= MaxLimit)
        {
            return limit;
        }

        Fail("limit", $"limit must be a whole number from 1 to {MaxLimit}.");
        return DefaultLimit;
    }

    /// <summary><c>from</c> and <c>to</c>, or <c>period</c> in their place.</summary>
    /// <remarks>
    /// Charges are stamped in whole milliseconds, so a bound between two of them means the later one; the answer echoes it as such.
    /// </remarks>
    /// <param name="required">False: an absent bound is open (the year 1, or the year 9999).</param>
    public TimeWindow Window(bool required)
    {
        var (period, from, to) = (Text("period"), Text("from"), Text("to"));
        if (period is not null)
        {
            if (from is not null || to is not null)
            {
                Fail("period", "period replaces from and to; send one or the other.");
            }

            return Accept("period", Instants.ParsePeriod(period));
        }

        var start = Bound("from", from, required, DateTimeOffset.UnixEpoch, Instants.Parse);
        var end = Bound("to", to, required, DateTimeOffset.FromUnixTimeSeconds(253402300799), Instants.ParseEnd);
        if (_errors.Count == 0 && start > end)
        {
            Fail("from", "from must not be after to.");
        }

        return new(start.CeilingToMillisecond(), end.CeilingToMillisecond());
    }

    public void Fail(string field, string message) => _errors.Add(new(field, message));

    /// <summary>The 400 to answer with, or null. Call it when everything has been asked for.</summary>
    public ApiError? Error()
    {
        foreach (var name in _given.Keys.Where(name => !_asked.Contains(name)))
        {
            var known = _asked.Count == 0 ? "has none" : $"knows {string.Join(", ", _asked.Order(StringComparer.Ordinal))}";
            Fail(name, $"{name} is not a parameter of this call; it {known}.");
        }

        return _errors.Count == 0 ? null : ApiError.Validation(_errors);
    }

    private void Add(string name, StringValues values)
    {
        var known = _given.TryGetValue(name, out var before) ? before : _given[name] = [];
        known.AddRange(values.Select(value => value ?? "").Where(value => !known.Contains(value)).Distinct());
    }

    private DateTimeOffset Bound(
        string name, string? text, bool required, DateTimeOffset open, Func<string, (DateTimeOffset Instant, string? Problem)> parse)
    {
        if (text is not null)
        {
            return Accept(name, parse(text));
        }

        if (required)
        {
            Fail(name, $"{name} is required: a full instant such as 2026-04-01T00:00:00Z, or send period=2026-04.");
        }

        return open;
    }

    private T Accept<T>(string name, (T Value, string? Problem) parsed)
    {
        if (parsed.Problem is { } problem)
        {
            Fail(name, problem);
        }

        return parsed.Value;
    }
}

namespace Dvara.UnitTests.Providers;

/// <summary>What a client reads out of a stream, by the letter of the specification and with no care for speed.</summary>
internal static class ServerSentEvents
{
    /// <summary>The data of each event that has any.</summary>
    public static List<string> Data(string stream)
    {
        var events = new List<string>();
        var data = new List<string>();
        foreach (var line in stream.ReplaceLineEndings("\n").Split('\n'))
        {
            if (line.Length == 0 && data.Count > 0)
            {
                events.Add(string.Join('\n', data));
                data.Clear();
            }
            else if (line == "data" || line.StartsWith("data:", StringComparison.Ordinal))
            {
                var value = line.Length > 4 ? line[5..] : "";
                data.Add(value.StartsWith(' ') ? value[1..] : value);
            }
        }

        return events;
    }
}

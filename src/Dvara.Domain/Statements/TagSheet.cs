namespace Dvara.Domain.Statements;

/// <summary>
/// Adds a statement up by tag. Clients choose keys and values, so both are bounded; which ones are kept does not depend on the order
/// of the rows.
/// </summary>
internal sealed class TagSheet
{
    /// <summary>Tag keys of one statement: the first in alphabetical order. A client that makes up keys cannot fill our memory.</summary>
    internal const int MaxTagKeys = 100;

    private readonly SortedDictionary<string, Column> _columns = new(StringComparer.OrdinalIgnoreCase);

    public void Add(IReadOnlyDictionary<string, string> tags, Tally tally)
    {
        foreach (var (key, value) in tags)
        {
            if (!_columns.TryGetValue(key, out var column))
            {
                _columns.Add(key, column = new Column(key));
                if (_columns.Count > MaxTagKeys)
                {
                    // A key among the first of all keys is among the first at any time: it is never the one dropped.
                    _columns.Remove(_columns.Keys.Last());
                }
            }

            column.Add(key, value, tally);
        }
    }

    public IReadOnlyList<TagTable> Close(Tally total) => [.. _columns.Values.Select(column => column.Close(total))];

    private sealed class Column(string spelling)
    {
        private readonly Dictionary<string, Tally> _values = new(StringComparer.Ordinal);
        private string _spelling = spelling;
        private Tally _tagged;
        private bool _collapsed;

        public void Add(string spelling, string value, Tally tally)
        {
            // One spelling for a key that clients spell differently, whichever came first.
            _spelling = string.CompareOrdinal(spelling, _spelling) < 0 ? spelling : _spelling;
            _tagged += tally;
            if (_collapsed)
            {
                return;
            }

            _values[value] = _values.GetValueOrDefault(value) + tally;
            if (_values.Count > StatementSheet.MaxTagValues)
            {
                _collapsed = true;
                _values.Clear();
            }
        }

        public TagTable Close(Tally total)
        {
            List<TagGroup> groups = _collapsed
                ? [new TagGroup($"(more than {StatementSheet.MaxTagValues} values)", TagGroupKind.Collapsed, _tagged)]
                : [.. _values.OrderBy(v => v.Key, StringComparer.Ordinal).Select(v => new TagGroup(v.Key, TagGroupKind.Value, v.Value))];
            var untagged = total - _tagged;
            if (untagged != default)
            {
                groups.Add(new TagGroup("(untagged)", TagGroupKind.Untagged, untagged));
            }

            return new(_spelling, groups);
        }
    }
}

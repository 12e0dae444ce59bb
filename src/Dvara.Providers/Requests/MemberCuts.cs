namespace Dvara.Providers.Requests;

/// <summary>Finds the bytes to cut from one object so that the members that stay are valid JSON, commas included.</summary>
internal struct MemberCuts()
{
    private List<Range>? _ranges;
    private int _edge;
    private int _leadingCut = -1;
    private bool _anyKept;

    public readonly IReadOnlyList<Range> Ranges => _ranges ?? (IReadOnlyList<Range>)[];

    public readonly bool Any => _leadingCut >= 0 || _ranges is not null;

    /// <summary>True when no member stays: then the object itself is what to cut.</summary>
    public readonly bool Everything => Any && !_anyKept;

    public void Keep(int nameStart, int valueEnd)
    {
        if (_leadingCut >= 0)
        {
            (_ranges ??= []).Add(_leadingCut..nameStart);
            _leadingCut = -1;
        }

        _anyKept = true;
        _edge = valueEnd;
    }

    public void Cut(int nameStart, int valueEnd)
    {
        if (_anyKept)
        {
            (_ranges ??= []).Add(_edge..valueEnd);
            _edge = valueEnd;
        }
        else if (_leadingCut < 0)
        {
            _leadingCut = nameStart;
        }
    }

    /// <summary>Adds cuts from within a member that stays.</summary>
    public void AddInner(IReadOnlyList<Range> ranges)
    {
        if (ranges.Count > 0)
        {
            (_ranges ??= []).AddRange(ranges);
        }
    }
}

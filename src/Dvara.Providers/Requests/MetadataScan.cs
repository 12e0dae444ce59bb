using System.Text.Json;

namespace Dvara.Providers.Requests;

/// <summary>Reads <c>metadata</c>: the tags and the mock script, which are the gateway's, among members that are the provider's.</summary>
internal struct MetadataScan()
{
    public const string TagsParam = "metadata.tags";

    private TagCollector _tags = new(TagsParam);
    private MemberCuts _cuts = new();

    public readonly IReadOnlyDictionary<string, string> Tags => _tags.Tags;

    public MockScript? Mock { get; private set; }

    /// <summary>What of it does not go upstream.</summary>
    public readonly MemberCuts Cuts => _cuts;

    /// <summary>The cursor stands on the value of <c>metadata</c> and is left at its end.</summary>
    public bool Read(ref JsonCursor json)
    {
        if (json.Token == JsonTokenType.Null)
        {
            return true;
        }

        if (json.Token != JsonTokenType.StartObject)
        {
            return json.Invalid("metadata", "metadata must be an object.");
        }

        while (json.Next() && json.Token == JsonTokenType.PropertyName)
        {
            var start = json.Start;
            var tags = json.Is("tags"u8);
            var mock = json.Is("mock"u8);
            if (!json.Next() || !(tags ? ReadTags(ref json) : mock ? ReadMock(ref json) : json.Skip()))
            {
                return false;
            }

            if (tags || mock)
            {
                _cuts.Cut(start, json.End);
            }
            else
            {
                _cuts.Keep(start, json.End);
            }
        }

        return json.Problem is null;
    }

    private bool ReadTags(ref JsonCursor json)
    {
        if (json.Token == JsonTokenType.Null)
        {
            return true;
        }

        if (json.Token != JsonTokenType.StartObject)
        {
            return json.Invalid(TagsParam, $"{TagsParam} must be an object that maps strings to strings.");
        }

        while (json.Next() && json.Token == JsonTokenType.PropertyName)
        {
            var key = json.Text();
            if (!json.Next())
            {
                return false;
            }

            var problem = json.Token == JsonTokenType.String ? _tags.Add(key, json.Text()) : _tags.Problem(key, "Its value must be a string.");
            if (problem is not null)
            {
                return json.Refuse(problem.Code, problem.Param, problem.Message);
            }
        }

        return json.Problem is null;
    }

    private bool ReadMock(ref JsonCursor json)
    {
        var scan = new MockScriptScan();
        var read = scan.Read(ref json);
        Mock = scan.Script;
        return read;
    }
}

namespace Dvara.Providers.Requests;

/// <summary>Gathers the tags of one layer under the contract's limits.</summary>
/// <param name="param">What the caller wrote them in, as problems name it.</param>
internal struct TagCollector(string param)
{
    public const int TagsMax = 20;
    public const int KeyCharactersMax = 64;
    public const int ValueCharactersMax = 256;

    private Dictionary<string, string>? _tags;

    public readonly IReadOnlyDictionary<string, string> Tags => _tags ?? RequestFacts.EmptyTags;

    /// <summary>Null when the tag was taken, else what is wrong with it.</summary>
    public RequestProblem? Add(string key, string value)
    {
        if (key.Length is 0 or > KeyCharactersMax)
        {
            return Problem(key, $"Its key has {key.Length} characters; it must have 1 to {KeyCharactersMax}.");
        }

        if (value.Length > ValueCharactersMax)
        {
            return Problem(key, $"Its value has {value.Length} characters; it may have {ValueCharactersMax}.");
        }

        _tags ??= new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        if (_tags.Count == TagsMax && !_tags.ContainsKey(key))
        {
            return Problem(key, $"There are more than {TagsMax} tags.");
        }

        return _tags.TryAdd(key, value) ? null : Problem(key, "Its key is given twice; keys are compared without regard to case.");
    }

    public readonly RequestProblem Problem(string key, string reason)
    {
        var shown = Shown.Short(key);
        return new RequestProblem(400, ProblemCodes.ValidationError, $"{param}.{shown}", $"The tag '{shown}' in {param} is refused. {reason}");
    }
}

using System.Text.Json;

namespace Dvara.Providers.Requests;

/// <summary>One pass over one request: dispatches each top-level member to whoever reads it, and remembers where it stood.</summary>
internal ref struct RequestScan(ReadOnlySpan<byte> body, Endpoint endpoint) : IDisposable
{
    private const int ModelCharactersMax = 256;
    private const int EndUserCharactersMax = 256;
    private const long OutputTokensMax = 1_000_000_000;

    /// <summary>OpenAI's own bound of <c>n</c>. Each answer multiplies the cost.</summary>
    private const int ChoicesMax = 128;

    private JsonCursor _json = new(body);
    private MetadataScan _metadata = new();
    private MemberCuts _cuts = new();
    private InputBytes _input;
    private long _otherBytes;
    private string? _model;
    private string? _endUser;
    private bool _stream;
    private bool _wantsUsage;
    private bool _hasInput;
    private long _choices = 1;
    private int _predictionBytes;
    private long? _outputLimit;
    private bool _hasMaxTokens;
    private Range _modelRange;
    private Range? _streamOptions;
    private Range? _includeUsage;
    private Range? _maxTokens;
    private Range? _maxCompletionTokens;

    public readonly RequestProblem? Problem => _json.Problem;

    public RequestFacts? Read()
    {
        _json.Next();
        if (_json.Token != JsonTokenType.StartObject)
        {
            _json.Refuse(ProblemCodes.InvalidJson, null, "The body must be a JSON object.");
            return null;
        }

        var firstMember = _json.End;
        while (_json.Next() && _json.Token == JsonTokenType.PropertyName)
        {
            if (!ReadMember())
            {
                return null;
            }
        }

        // The last Next finds what follows the object, which is never JSON.
        return _json.Problem is null && !_json.Next() && CheckPresent() ? Facts(firstMember) : null;
    }

    public void Dispose() => _json.Dispose();

    private bool ReadMember()
    {
        var start = _json.Start;
        if (_json.Is("metadata"u8))
        {
            return ReadMetadata(start);
        }

        var read = InputScan.MemberAt(_json, endpoint) is var member && member != InputMember.None
            ? _json.Next() && ReadInput(member)
            : ReadScalar();
        _cuts.Keep(start, _json.End);
        return read;
    }

    private bool ReadInput(InputMember member)
    {
        _hasInput |= member != InputMember.Json && _json.Token != JsonTokenType.Null;
        return InputScan.Read(ref _json, member, ref _input);
    }

    private bool ReadMetadata(int start)
    {
        if (!_json.Next() || !_metadata.Read(ref _json))
        {
            return false;
        }

        if (_metadata.Cuts.Everything)
        {
            _cuts.Cut(start, _json.End);
            return true;
        }

        _cuts.Keep(start, _json.End);
        _cuts.AddInner(_metadata.Cuts.Ranges);
        return true;
    }

    private bool ReadScalar()
    {
        if (_json.Is("model"u8))
        {
            return _json.Next() && ReadModel();
        }

        if (_json.Is("user"u8))
        {
            return _json.Next() && ReadEndUser();
        }

        return endpoint == Endpoint.Embeddings ? Pass() : ReadGenerating();
    }

    private bool ReadGenerating()
    {
        if (_json.Is("stream"u8))
        {
            return _json.Next() && ReadFlag("stream", ref _stream);
        }

        if (_json.Is("stream_options"u8))
        {
            return _json.Next() && ReadStreamOptions();
        }

        if (_json.Is("max_tokens"u8))
        {
            return _json.Next() && ReadOutputLimit("max_tokens", ref _maxTokens, out _hasMaxTokens);
        }

        if (endpoint == Endpoint.ChatCompletions && _json.Is("max_completion_tokens"u8))
        {
            return _json.Next() && ReadOutputLimit("max_completion_tokens", ref _maxCompletionTokens, out _);
        }

        if (endpoint == Endpoint.ChatCompletions && _json.Is("prediction"u8))
        {
            return _json.Next() && ReadPrediction();
        }

        return _json.Is("n"u8) ? _json.Next() && ReadChoices("n")
            : endpoint == Endpoint.Completions && _json.Is("best_of"u8) ? _json.Next() && ReadChoices("best_of")
            : Pass();
    }

    /// <summary>What is known to steer only is a number, a flag or a few letters; but for one.</summary>
    private bool Pass()
    {
        var steers = _json.Is("logit_bias"u8);
        if (!_json.Next() || !_json.Skip(out var value))
        {
            return false;
        }

        _otherBytes += steers || value[0] is not ((byte)'"' or (byte)'{' or (byte)'[') ? 0 : value.Length;
        return true;
    }

    private bool ReadModel()
    {
        _modelRange = _json.Start.._json.End;
        _model = _json.Token == JsonTokenType.String ? _json.Text() : null;
        return IsModelName(_model) || _json.Invalid(
            "model",
            $"model must be a string of 1 to {ModelCharactersMax} characters, printable ASCII, without space around it or segments . and ..");
    }

    /// <summary>It becomes part of rows, logs and statements, where two names that look alike must be alike. No provider needs more than ASCII.</summary>
    private static bool IsModelName(string? name) =>
        name?.Length is > 0 and <= ModelCharactersMax
        && !name.AsSpan().ContainsAnyExceptInRange(' ', '~')
        && name[0] != ' '
        && name[^1] != ' '
        && !name.Split('/').Any(segment => segment is "." or "..");

    private bool ReadEndUser()
    {
        if (_json.Token == JsonTokenType.Null)
        {
            return true;
        }

        _endUser = _json.Token == JsonTokenType.String ? _json.Text() : null;
        return _endUser?.Length <= EndUserCharactersMax
            || _json.Invalid("user", $"user must be a string of at most {EndUserCharactersMax} characters.");
    }

    private bool ReadFlag(string param, ref bool flag)
    {
        flag = _json.Token == JsonTokenType.True;
        return _json.Token is JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null
            || _json.Invalid(param, $"{param} must be true or false.");
    }

    private bool ReadStreamOptions()
    {
        var start = _json.Start;
        if (_json.Token is not (JsonTokenType.Null or JsonTokenType.StartObject))
        {
            return _json.Invalid("stream_options", "stream_options must be an object.");
        }

        if (_json.Token == JsonTokenType.StartObject && !ReadIncludeUsage())
        {
            return false;
        }

        _streamOptions = start.._json.End;
        return true;
    }

    private bool ReadIncludeUsage()
    {
        while (_json.Next() && _json.Token == JsonTokenType.PropertyName)
        {
            var includeUsage = _json.Is("include_usage"u8);
            if (!_json.Next() || !(includeUsage ? ReadFlag("stream_options.include_usage", ref _wantsUsage) : _json.Skip()))
            {
                return false;
            }

            _includeUsage = includeUsage ? _json.Start.._json.End : _includeUsage;
        }

        return _json.Problem is null;
    }

    private bool ReadOutputLimit(string param, ref Range? range, out bool isSet)
    {
        range = _json.Start.._json.End;
        var read = ReadCount(param, OutputTokensMax, out var limit);
        isSet = limit is not null;
        if (!read)
        {
            return false;
        }

        // Which of two limits a provider obeys is its own affair; the larger bounds the cost.
        _outputLimit = limit is null ? _outputLimit : Math.Max(limit.Value, _outputLimit ?? 0);
        return true;
    }

    private bool ReadChoices(string param)
    {
        var read = ReadCount(param, ChoicesMax, out var choices);
        _choices = Math.Max(_choices, choices ?? 1);
        return read;
    }

    private bool ReadPrediction()
    {
        var start = _json.Start;
        var read = _json.Skip();
        _predictionBytes = _json.End - start;
        return read;
    }

    private bool ReadCount(string param, long most, out long? count)
    {
        count = null;
        if (_json.Token == JsonTokenType.Null)
        {
            return true;
        }

        if (!_json.TryInt64(out var value) || value < 1 || value > most)
        {
            return _json.Invalid(param, $"{param} must be a whole number from 1 to {most}, written without point or exponent.");
        }

        count = value;
        return true;
    }

    private bool CheckPresent()
    {
        if (_model is null)
        {
            return _json.Invalid("model", "model is missing.");
        }

        return endpoint switch
        {
            Endpoint.ChatCompletions when !_hasInput => _json.Invalid("messages", "messages is missing."),
            Endpoint.Embeddings when !_hasInput => _json.Invalid("input", "input is missing."),
            _ => true,
        };
    }

    private readonly RequestFacts Facts(int firstMember) => new()
    {
        Model = _model!,
        Stream = _stream,
        WantsUsageChunk = _wantsUsage,
        OutputLimit = _outputLimit,
        HasMaxTokens = _hasMaxTokens,
        Choices = (int)Math.Min(int.MaxValue, endpoint == Endpoint.Completions ? _choices * Math.Max(1, _input.Items) : _choices),
        Tags = _metadata.Tags,
        EndUser = _endUser,
        Mock = _metadata.Mock,
        InputTextBytes = _input.Bytes,
        OtherBytes = _otherBytes,
        MediaParts = _input.MediaParts,
        PredictionBytes = _predictionBytes,
        Plan = new BodyPlan
        {
            Model = _modelRange,
            Cuts = _cuts.Ranges,
            StreamOptions = _streamOptions,
            IncludeUsage = _includeUsage,
            MaxTokens = _maxTokens,
            MaxCompletionTokens = _maxCompletionTokens,
            FirstMember = firstMember,
        },
    };
}

using System.Globalization;
using System.Text.Json;

namespace Dvara.Providers.Requests;

/// <summary>Reads <c>metadata.mock</c>: whole numbers, written as strings (as metadata wants them) or as numbers.</summary>
internal struct MockScriptScan
{
    private const string Param = "metadata.mock";
    private const long TokensMax = 1_000_000_000;
    private const int LatencyMsMax = 600_000;

    public MockScript? Script { get; private set; }

    public bool Read(ref JsonCursor json)
    {
        if (json.Token == JsonTokenType.Null)
        {
            return true;
        }

        if (json.Token != JsonTokenType.StartObject)
        {
            return json.Invalid(Param, $"{Param} must be an object.");
        }

        Script = new MockScript();
        while (json.Next() && json.Token == JsonTokenType.PropertyName)
        {
            var name = json.Text();
            if (!json.Next() || !ReadMember(ref json, name))
            {
                return false;
            }
        }

        return json.Problem is null;
    }

    private bool ReadMember(ref JsonCursor json, string name)
    {
        var (least, most) = name switch
        {
            "prompt_tokens" or "completion_tokens" or "cached_tokens" or "reasoning_tokens" => (0L, TokensMax),
            "latency_ms" => (0L, LatencyMsMax),
            "status" => (200L, 599L),
            _ => (0L, -1L),
        };
        var param = $"{Param}.{Shown.Short(name)}";
        if (most < 0)
        {
            return json.Invalid(
                param, $"{param} is unknown; there are prompt_tokens, completion_tokens, cached_tokens, reasoning_tokens, latency_ms, status.");
        }

        if (!TryNumber(json, out var value) || value < least || value > most)
        {
            return json.Invalid(param, $"{param} must be a whole number from {least} to {most}.");
        }

        // An answer of another kind may have no body, or sends the client elsewhere: nothing that a provider does here.
        if (name == "status" && value is > 200 and < 400)
        {
            return json.Invalid(param, $"{param} must be 200 or from 400 to 599.");
        }

        Script = name switch
        {
            "prompt_tokens" => Script! with { PromptTokens = value },
            "completion_tokens" => Script! with { CompletionTokens = value },
            "cached_tokens" => Script! with { CachedTokens = value },
            "reasoning_tokens" => Script! with { ReasoningTokens = value },
            "latency_ms" => Script! with { LatencyMs = (int)value },
            _ => Script! with { Status = (int)value },
        };
        return true;
    }

    private static bool TryNumber(scoped in JsonCursor json, out long value)
    {
        value = 0;
        return json.Token == JsonTokenType.String
            ? long.TryParse(json.Text(), NumberStyles.None, CultureInfo.InvariantCulture, out value)
            : json.TryInt64(out value);
    }
}

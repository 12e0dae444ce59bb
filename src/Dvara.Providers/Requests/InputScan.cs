using System.Text.Json;

namespace Dvara.Providers.Requests;

/// <summary>Reads the top-level members of a request that become input, checks their form, and tells a sink of them.</summary>
internal static class InputScan
{
    /// <summary>True when the cursor stands on the name of a member that becomes input at this endpoint.</summary>
    public static InputMember MemberAt(scoped in JsonCursor json, Endpoint endpoint) => endpoint switch
    {
        Endpoint.ChatCompletions when json.Is("messages"u8) => InputMember.Messages,
        Endpoint.ChatCompletions when json.Is("tools"u8) || json.Is("functions"u8) || json.Is("response_format"u8) || json.Is("documents"u8) => InputMember.Json,
        Endpoint.Completions when json.Is("prompt"u8) => InputMember.Prompt,
        Endpoint.Completions when json.Is("suffix"u8) => InputMember.Json,
        Endpoint.Embeddings when json.Is("input"u8) => InputMember.Input,
        _ => InputMember.None,
    };

    /// <summary>The cursor stands on the member's value and is left at its end.</summary>
    public static bool Read<TSink>(ref JsonCursor json, InputMember member, ref TSink sink)
        where TSink : struct, IInputSink => member switch
        {
            InputMember.Messages => MessageScan.ReadAll(ref json, ref sink),
            InputMember.Prompt => ReadPrompts(ref json, "prompt", ref sink),
            InputMember.Input => ReadPrompts(ref json, "input", ref sink),
            _ => ReadJson(ref json, ref sink),
        };

    public static bool ReadJson<TSink>(ref JsonCursor json, ref TSink sink)
        where TSink : struct, IInputSink
    {
        if (!json.Skip(out var value))
        {
            return false;
        }

        if (json.Token != JsonTokenType.Null)
        {
            sink.Json(value);
        }

        return true;
    }

    /// <summary>A string, token ids, or an array of either.</summary>
    private static bool ReadPrompts<TSink>(ref JsonCursor json, string param, ref TSink sink)
        where TSink : struct, IInputSink
    {
        switch (json.Token)
        {
            case JsonTokenType.Null:
                return true;
            case JsonTokenType.String:
                sink.Item();
                sink.Text(json);
                return true;
            case JsonTokenType.StartArray:
                return ReadPromptArray(ref json, param, ref sink);
            default:
                return NoPrompt(ref json, param);
        }
    }

    private static bool ReadPromptArray<TSink>(ref JsonCursor json, string param, ref TSink sink)
        where TSink : struct, IInputSink
    {
        var first = JsonTokenType.None;
        while (json.Next() && json.Token != JsonTokenType.EndArray)
        {
            var isFirst = first == JsonTokenType.None;
            first = isFirst ? json.Token : first;
            if (json.Token != first)
            {
                return NoPrompt(ref json, param);
            }

            // Numbers at this level are the ids of one prompt; strings and arrays are a prompt each.
            if (isFirst || first != JsonTokenType.Number)
            {
                sink.Item();
            }

            if (!ReadPrompt(ref json, param, ref sink))
            {
                return false;
            }
        }

        return json.Problem is null && (first != JsonTokenType.None || NoPrompt(ref json, param));
    }

    private static bool ReadPrompt<TSink>(ref JsonCursor json, string param, ref TSink sink)
        where TSink : struct, IInputSink
    {
        switch (json.Token)
        {
            case JsonTokenType.String:
                sink.Text(json);
                return true;
            case JsonTokenType.Number:
                sink.TokenId();
                return true;
            case JsonTokenType.StartArray:
                while (json.Next() && json.Token == JsonTokenType.Number)
                {
                    sink.TokenId();
                }

                return json.Problem is null && (json.Token == JsonTokenType.EndArray || NoPrompt(ref json, param));
            default:
                return NoPrompt(ref json, param);
        }
    }

    private static bool NoPrompt(ref JsonCursor json, string param) =>
        json.Invalid(param, $"{param} must be a string, an array of strings, an array of token ids, or an array of such arrays; not empty.");
}

/// <summary>How a member becomes input.</summary>
internal enum InputMember
{
    None,
    Messages,
    Prompt,
    Input,
    Json,
}

using System.Text;
using System.Text.Json;

namespace Dvara.Providers.Requests;

/// <summary>Reads <c>messages</c> of a chat: every message has a role and, but for the assistant's, content.</summary>
internal static class MessageScan
{
    private const string Param = "messages";

    public static bool ReadAll<TSink>(ref JsonCursor json, ref TSink sink)
        where TSink : struct, IInputSink
    {
        if (json.Token != JsonTokenType.StartArray)
        {
            return json.Invalid(Param, "messages must be an array of messages.");
        }

        var index = 0;
        while (json.Next() && json.Token != JsonTokenType.EndArray)
        {
            sink.Item();
            if (!ReadMessage(ref json, index++, ref sink))
            {
                return false;
            }
        }

        return json.Problem is null && (index > 0 || json.Invalid(Param, "messages must not be empty."));
    }

    private static bool ReadMessage<TSink>(ref JsonCursor json, int index, ref TSink sink)
        where TSink : struct, IInputSink
    {
        if (json.Token != JsonTokenType.StartObject)
        {
            return json.Invalid($"{Param}[{index}]", "A message must be an object.");
        }

        var role = Role.Missing;
        var content = false;
        while (json.Next() && json.Token == JsonTokenType.PropertyName)
        {
            var isRole = json.Is("role"u8);
            var isContent = json.Is("content"u8);
            var isAudio = json.Is("audio"u8);
            if (!json.Next())
            {
                return false;
            }

            if (isRole)
            {
                role = RoleAt(json);
            }
            else if (isContent)
            {
                content = json.Token != JsonTokenType.Null;
                if (!ReadContent(ref json, index, ref sink))
                {
                    return false;
                }
            }
            else
            {
                if (isAudio && json.Token != JsonTokenType.Null)
                {
                    // Names an answer of before.
                    sink.Media();
                }

                if (!ReadOther(ref json, ref sink))
                {
                    return false;
                }
            }
        }

        return json.Problem is null && CheckMessage(ref json, index, role, content);
    }

    private static bool CheckMessage(ref JsonCursor json, int index, Role role, bool content) => role switch
    {
        Role.Missing => json.Invalid(
            $"{Param}[{index}].role", "The role must be one of developer, system, user, assistant, tool, function."),
        Role.Caller when !content => json.Invalid(
            $"{Param}[{index}].content", "The content must be a string or an array of parts; only the assistant's may be null."),
        _ => true,
    };

    private static Role RoleAt(scoped in JsonCursor json)
    {
        if (json.Token != JsonTokenType.String)
        {
            return Role.Missing;
        }

        // A function's answer may be null too.
        if (json.Is("assistant"u8) || json.Is("function"u8))
        {
            return Role.Answering;
        }

        var known = json.Is("user"u8) || json.Is("system"u8) || json.Is("developer"u8) || json.Is("tool"u8);
        return known ? Role.Caller : Role.Missing;
    }

    private static bool ReadContent<TSink>(ref JsonCursor json, int index, ref TSink sink)
        where TSink : struct, IInputSink
    {
        switch (json.Token)
        {
            case JsonTokenType.Null:
                return true;
            case JsonTokenType.String:
                sink.Text(json);
                return true;
            case JsonTokenType.StartArray:
                while (json.Next() && json.Token == JsonTokenType.StartObject)
                {
                    if (!ReadPart(ref json, ref sink))
                    {
                        return false;
                    }
                }

                return json.Problem is null && (json.Token == JsonTokenType.EndArray || NoContent(ref json, index));
            default:
                return NoContent(ref json, index);
        }
    }

    private static bool NoContent(ref JsonCursor json, int index) =>
        json.Invalid($"{Param}[{index}].content", "The content must be a string or an array of parts, each an object.");

    private static bool ReadPart<TSink>(ref JsonCursor json, ref TSink sink)
        where TSink : struct, IInputSink
    {
        while (json.Next() && json.Token == JsonTokenType.PropertyName)
        {
            var type = json.Is("type"u8);
            var media = json.Is("image_url"u8) || json.Is("input_audio"u8) || json.Is("file"u8) || json.Is("video_url"u8);
            var reference = !media && IsReference(json);
            if (!json.Next())
            {
                return false;
            }

            if (media || reference)
            {
                sink.Media();
            }

            // What is not known here may be read by the model all the same, as text.
            if (!(type || media ? json.Skip() : ReadOther(ref json, ref sink)))
            {
                return false;
            }
        }

        return json.Problem is null;
    }

    /// <summary>True of the name of a member that stands for more than it says: <c>document_url</c>, <c>file_id</c>.</summary>
    private static bool IsReference(scoped in JsonCursor json)
    {
        var name = json.Escaped ? Encoding.UTF8.GetBytes(json.Text()) : json.Raw;
        return name.EndsWith("_url"u8) || name.EndsWith("_id"u8) || name.SequenceEqual("source"u8);
    }

    private static bool ReadOther<TSink>(ref JsonCursor json, ref TSink sink)
        where TSink : struct, IInputSink
    {
        if (json.Token != JsonTokenType.String)
        {
            return InputScan.ReadJson(ref json, ref sink);
        }

        sink.Text(json);
        return true;
    }

    private enum Role
    {
        Missing,
        Caller,
        Answering,
    }
}

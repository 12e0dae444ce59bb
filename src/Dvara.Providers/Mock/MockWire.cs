using System.Buffers;
using System.Text.Json;

namespace Dvara.Providers.Mock;

/// <summary>Writes the mock's answers as OpenAI writes its own.</summary>
internal static class MockWire
{
    /// <summary>The models that the shipped price list knows.</summary>
    private static readonly string[] PricedModels = ["gpt-4o", "gpt-4o-mini", "claude-sonnet", "text-embedding-3-small"];

    public static ReadOnlyMemory<byte> Models() => Object(json =>
    {
        json.WriteString("object"u8, "list"u8);
        json.WriteStartArray("data"u8);
        foreach (var model in PricedModels)
        {
            json.WriteStartObject();
            json.WriteString("id"u8, model);
            json.WriteString("object"u8, "model"u8);
            json.WriteNumber("created"u8, 0);
            json.WriteString("owned_by"u8, ProviderNames.Mock);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    public static ReadOnlyMemory<byte> Error(string type, MockError error) => Object(json =>
    {
        json.WriteStartObject("error"u8);
        json.WriteString("message"u8, error.Message);
        json.WriteString("type"u8, type);
        json.WriteString("param"u8, error.Param);
        json.WriteString("code"u8, error.Code);
        json.WriteEndObject();
    });

    public static ReadOnlyMemory<byte> Whole(MockCall call) => Object(json =>
    {
        var text = string.Concat(call.Words);
        Head(json, call, call.Endpoint == Endpoint.ChatCompletions ? "chat.completion" : "text_completion");
        json.WriteStartArray("choices"u8);
        for (var index = 0; index < call.Choices; index++)
        {
            json.WriteStartObject();
            json.WriteNumber("index"u8, index);
            WriteText(json, call, "message"u8, text, role: true);
            EndChoice(json, call.Cut ? "length" : "stop");
        }

        json.WriteEndArray();
        Usage(json, call);
    });

    /// <summary>Each event with its blank line, the terminating one last.</summary>
    public static IEnumerable<byte[]> Events(MockCall call)
    {
        for (var index = 0; index < call.Choices; index++)
        {
            if (call.Endpoint == Endpoint.ChatCompletions)
            {
                yield return Chunk(call, index, "", role: true, finish: null);
            }

            foreach (var word in call.Words)
            {
                yield return Chunk(call, index, word, role: false, finish: null);
            }

            yield return Chunk(call, index, null, role: false, finish: call.Cut ? "length" : "stop");
        }

        if (call.UsageChunk)
        {
            yield return Event(Object(json =>
            {
                Head(json, call, ChunkObject(call));
                json.WriteStartArray("choices"u8);
                json.WriteEndArray();
                Usage(json, call);
            }).Span);
        }

        yield return Event("[DONE]"u8);
    }

    /// <summary><c>id</c>, <c>object</c>, <c>created</c>, <c>model</c>.</summary>
    private static void Head(Utf8JsonWriter json, MockCall call, string kind)
    {
        json.WriteString("id"u8, (call.Endpoint == Endpoint.ChatCompletions ? "chatcmpl-" : "cmpl-") + call.Id);
        json.WriteString("object"u8, kind);
        json.WriteNumber("created"u8, call.CreatedUnixSeconds);
        json.WriteString("model"u8, call.Model);
    }

    public static void Usage(Utf8JsonWriter json, MockCall call)
    {
        json.WriteStartObject("usage"u8);
        json.WriteNumber("prompt_tokens"u8, call.PromptTokens);
        if (call.Endpoint == Endpoint.Embeddings)
        {
            json.WriteNumber("total_tokens"u8, call.PromptTokens);
            json.WriteEndObject();
            return;
        }

        json.WriteNumber("completion_tokens"u8, call.CompletionTokens);
        json.WriteNumber("total_tokens"u8, call.PromptTokens + call.CompletionTokens);
        json.WriteStartObject("prompt_tokens_details"u8);
        json.WriteNumber("cached_tokens"u8, call.CachedTokens);
        json.WriteNumber("audio_tokens"u8, 0);
        json.WriteEndObject();
        json.WriteStartObject("completion_tokens_details"u8);
        json.WriteNumber("reasoning_tokens"u8, call.ReasoningTokens);
        json.WriteNumber("audio_tokens"u8, 0);
        json.WriteNumber("accepted_prediction_tokens"u8, 0);
        json.WriteNumber("rejected_prediction_tokens"u8, 0);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    public static ReadOnlyMemory<byte> Object(Action<Utf8JsonWriter> members)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(bytes);
        json.WriteStartObject();
        members(json);
        json.WriteEndObject();
        json.Flush();
        return bytes.WrittenMemory;
    }

    private static string ChunkObject(MockCall call) => call.Endpoint == Endpoint.ChatCompletions ? "chat.completion.chunk" : "text_completion";

    /// <param name="text">Null: an empty delta.</param>
    private static byte[] Chunk(MockCall call, int index, string? text, bool role, string? finish) => Event(Object(json =>
    {
        Head(json, call, ChunkObject(call));
        json.WriteStartArray("choices"u8);
        json.WriteStartObject();
        json.WriteNumber("index"u8, index);
        WriteText(json, call, "delta"u8, text, role);
        EndChoice(json, finish);
        json.WriteEndArray();
        if (call.UsageChunk)
        {
            json.WriteNull("usage"u8);
        }
    }).Span);

    private static void WriteText(Utf8JsonWriter json, MockCall call, ReadOnlySpan<byte> member, string? text, bool role)
    {
        if (call.Endpoint == Endpoint.Completions)
        {
            json.WriteString("text"u8, text ?? "");
            return;
        }

        json.WriteStartObject(member);
        if (role)
        {
            json.WriteString("role"u8, "assistant"u8);
        }

        if (text is not null)
        {
            json.WriteString("content"u8, text);
        }

        if (role)
        {
            json.WriteNull("refusal"u8);
        }

        json.WriteEndObject();
    }

    private static void EndChoice(Utf8JsonWriter json, string? finish)
    {
        json.WriteNull("logprobs"u8);
        json.WriteString("finish_reason"u8, finish);
        json.WriteEndObject();
    }

    private static byte[] Event(ReadOnlySpan<byte> data) => [.. "data: "u8, .. data, .. "\n\n"u8];
}

/// <summary>What an error of the mock says.</summary>
internal sealed record MockError(string Message, string? Param = null, string? Code = null);

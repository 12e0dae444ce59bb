using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Dvara.Testing;

/// <summary>
/// Answers in the exact bytes of OpenAI's API: header set, field order, line ends, the <c>"usage":null</c> and the usage chunk that
/// <c>stream_options.include_usage</c> brings, <c>[DONE]</c>. Shapes as in OpenAI's published API reference.
/// </summary>
public static class Recorded
{
    public const string Text = "Hello! How can I help you today?";
    public const int PromptTokens = 1200;
    public const int CachedTokens = 1024;
    public const int CompletionTokens = 9;

    public static readonly string[] Deltas = ["Hello", "!", " How", " can", " I", " help", " you", " today", "?"];

    /// <summary>Answers whatever was asked, the way the real API does.</summary>
    public static Task AnswerAsync(HttpContext httpContext, UpstreamCall call)
    {
        if (call.Path.EndsWith("/embeddings", StringComparison.Ordinal))
        {
            return WriteAsync(httpContext, "application/json", Encoding.UTF8.GetBytes(Embedding));
        }

        using var request = JsonDocument.Parse(call.Body);
        var streams = request.RootElement.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True;
        var usage = request.RootElement.TryGetProperty("stream_options", out var options)
            && options.TryGetProperty("include_usage", out var include) && include.ValueKind == JsonValueKind.True;
        return streams
            ? WriteAsync(httpContext, "text/event-stream; charset=utf-8", Encoding.UTF8.GetBytes(ChatStream(usage)))
            : WriteAsync(httpContext, "application/json", Encoding.UTF8.GetBytes(Chat()));
    }

    public static Task WriteAsync(HttpContext httpContext, string contentType, ReadOnlyMemory<byte> body, int status = 200)
    {
        var response = httpContext.Response;
        response.StatusCode = status;
        response.ContentType = contentType;
        response.Headers["x-request-id"] = "req_0123456789abcdef";
        response.Headers["openai-organization"] = "org-secret";
        response.Headers["openai-processing-ms"] = "283";
        response.Headers["openai-version"] = "2020-10-01";
        response.Headers["x-ratelimit-remaining-requests"] = "9999";
        response.Headers.SetCookie = "__cf_bm=abc; path=/; HttpOnly";
        response.Headers.Server = "cloudflare";
        return response.Body.WriteAsync(body, httpContext.RequestAborted).AsTask();
    }

    /// <summary>A stream whose every byte is a write of its own, characters of several bytes included.</summary>
    public static async Task WriteInSingleBytesAsync(HttpContext httpContext, string stream)
    {
        httpContext.Response.ContentType = "text/event-stream";
        foreach (var part in Encoding.UTF8.GetBytes(stream))
        {
            await httpContext.Response.Body.WriteAsync(new[] { part });
            await httpContext.Response.Body.FlushAsync();
        }
    }

    /// <summary>The head of a stream: its deltas up to and with this many, and no end.</summary>
    public static string BrokenChatStream(int deltas) => string.Join("\n\n", ChatStream(usage: false).Split("\n\n")[..(deltas + 1)]) + "\n\n";

    public static string Chat(string? usage = null, string model = "gpt-4o-2024-08-06") =>
        $$"""
        {
          "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
          "object": "chat.completion",
          "created": 1741569952,
          "model": "{{model}}",
          "choices": [
            {
              "index": 0,
              "message": {
                "role": "assistant",
                "content": "{{Text}}",
                "refusal": null,
                "annotations": []
              },
              "logprobs": null,
              "finish_reason": "stop"
            }
          ],
          "usage": {{usage ?? Usage}},
          "service_tier": "default",
          "system_fingerprint": "fp_fc9f1d7035"
        }

        """.ReplaceLineEndings("\n");

    public const string Usage =
        """{"prompt_tokens":1200,"completion_tokens":9,"total_tokens":1209,"prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}""";

    public const string Embedding =
        """
        {
          "object": "list",
          "data": [
            {
              "object": "embedding",
              "index": 0,
              "embedding": "AACAPwAAAEA="
            }
          ],
          "model": "text-embedding-3-small",
          "usage": {
            "prompt_tokens": 5,
            "total_tokens": 5
          }
        }

        """;

    /// <param name="usage">True: as with <c>stream_options.include_usage</c>.</param>
    public static string ChatStream(bool usage)
    {
        var stream = new StringBuilder();
        stream.Append(Event(usage, "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}", "null"));
        foreach (var delta in Deltas)
        {
            stream.Append(Event(usage, $"{{\"content\":{JsonSerializer.Serialize(delta)}}}", "null"));
        }

        stream.Append(Event(usage, "{}", "\"stop\""));
        if (usage)
        {
            stream.Append(UsageEvent);
        }

        return stream.Append("data: [DONE]\n\n").ToString();
    }

    public const string UsageEvent = "data: {" + Head + ",\"choices\":[],\"usage\":" + Usage + "}\n\n";

    private const string Head =
        "\"id\":\"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG\",\"object\":\"chat.completion.chunk\",\"created\":1741570283,"
        + "\"model\":\"gpt-4o-2024-08-06\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_fc9f1d7035\"";

    private static string Event(bool usage, string delta, string finish) => string.Create(CultureInfo.InvariantCulture,
        $"data: {{{Head},\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]{(usage ? ",\"usage\":null" : "")}}}\n\n");
}

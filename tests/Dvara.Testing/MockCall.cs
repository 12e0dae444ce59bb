using System.Net;
using System.Text;
using System.Text.Json.Nodes;

namespace Dvara.Testing;

/// <summary>The call of most tests of caps. The mock's bound is its script, so it costs exactly what is held for it.</summary>
public static class MockCall
{
    /// <summary>1,000 tokens at 2.50 USD per million, 500 at 10.</summary>
    public const decimal Cost = 0.0075m;

    public const string Body =
        """{"model":"mock/gpt-4o","messages":[{"role":"user","content":"Hi"}],"metadata":{"mock":{"prompt_tokens":"1000","completion_tokens":"500"}}}""";

    /// <summary>The same, of project apollo.</summary>
    public const string Tagged =
        """{"model":"mock/gpt-4o","messages":[{"role":"user","content":"Hi"}],"metadata":{"tags":{"project":"apollo"},"mock":{"prompt_tokens":"1000","completion_tokens":"500"}}}""";

    /// <param name="client">Carries a key.</param>
    /// <param name="body">What is called.</param>
    /// <returns>Whether it makes sense to try again is said where a cap refuses.</returns>
    public static async Task<(HttpStatusCode Status, bool Retryable)> CallAsync(this HttpClient client, string body = Body)
    {
        using var answer = await client.PostAsync("/v1/chat/completions", new StringContent(body, Encoding.UTF8, "application/json"));
        var budget = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"]?["budget"];
        return (answer.StatusCode, (bool?)budget?["retryable"] ?? false);
    }

    /// <summary>Calls until a cap refuses for good.</summary>
    public static Task UseUpAsync(this HttpClient client) => Await.TrueAsync(
        async () => await client.CallAsync() is (HttpStatusCode.PaymentRequired, false), "a refusal for good");
}

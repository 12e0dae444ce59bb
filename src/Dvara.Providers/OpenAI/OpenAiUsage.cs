using System.Text.Json;
using Dvara.Domain;

namespace Dvara.Providers.OpenAI;

/// <summary>
/// Reads OpenAI's <c>usage</c> object, as OpenAI and the many hosts that speak its format fill it, into disjoint buckets.
/// </summary>
/// <remarks>
/// A usage object is believed whole or not at all: one count that is negative, fractional, a string or absurd refuses it.
/// Cached and cache-write tokens are parts of the prompt. Reasoning is part of the completion (OpenAI) unless the total says that it
/// comes on top (xAI); what a total has beyond both, where no reasoning is reported, is reasoning too (Google's endpoint).
/// </remarks>
internal struct OpenAiUsage
{
    /// <summary>More tokens than any one call can have, on either side.</summary>
    private const long TokensMax = 1_000_000_000;

    private bool _refused;
    private long? _prompt;
    private long? _completion;
    private long? _total;
    private long? _cached;
    private long? _cacheMiss;
    private long? _cacheWrite;
    private long? _reasoning;

    /// <summary>The reader stands on the value of <c>usage</c> and is left at its end.</summary>
    public static UsageReading Read(ref Utf8JsonReader json, Endpoint endpoint)
    {
        if (json.TokenType != JsonTokenType.StartObject)
        {
            var refused = json.TokenType != JsonTokenType.Null;
            json.Skip();
            return new UsageReading(null, refused, false);
        }

        var usage = new OpenAiUsage();
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            usage.ReadMember(ref json);
        }

        return usage.Normalise(endpoint);
    }

    private void ReadMember(ref Utf8JsonReader json)
    {
        if (json.ValueTextEquals("prompt_tokens"u8))
        {
            _prompt = Count(ref json);
        }
        else if (json.ValueTextEquals("completion_tokens"u8))
        {
            _completion = Count(ref json);
        }
        else if (json.ValueTextEquals("total_tokens"u8))
        {
            _total = Count(ref json, 2 * TokensMax);
        }
        else if (json.ValueTextEquals("prompt_cache_hit_tokens"u8) || json.ValueTextEquals("cached_tokens"u8))
        {
            _cached = Larger(_cached, Count(ref json));
        }
        else if (json.ValueTextEquals("prompt_cache_miss_tokens"u8))
        {
            _cacheMiss = Count(ref json);
        }
        else if (json.ValueTextEquals("prompt_tokens_details"u8) || json.ValueTextEquals("completion_tokens_details"u8))
        {
            ReadDetails(ref json);
        }
        else
        {
            json.Skip();
        }
    }

    private void ReadDetails(ref Utf8JsonReader json)
    {
        json.Read();
        if (json.TokenType != JsonTokenType.StartObject)
        {
            _refused |= json.TokenType != JsonTokenType.Null;
            json.Skip();
            return;
        }

        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (json.ValueTextEquals("cached_tokens"u8))
            {
                _cached = Larger(_cached, Count(ref json));
            }
            else if (json.ValueTextEquals("cache_write_tokens"u8))
            {
                _cacheWrite = Count(ref json);
            }
            else if (json.ValueTextEquals("reasoning_tokens"u8))
            {
                _reasoning = Count(ref json);
            }
            else
            {
                json.Skip();
            }
        }
    }

    private long? Count(ref Utf8JsonReader json, long most = TokensMax)
    {
        json.Read();
        if (json.TokenType == JsonTokenType.Null)
        {
            return null;
        }

        if (json.TokenType == JsonTokenType.Number && json.TryGetInt64(out var count) && count >= 0 && count <= most)
        {
            return count;
        }

        _refused = true;
        json.Skip();
        return null;
    }

    private static long? Larger(long? one, long? other) => one is null || other > one ? other : one;

    private readonly UsageReading Normalise(Endpoint endpoint)
    {
        var prompt = _prompt ?? (_cached + _cacheMiss) ?? (endpoint == Endpoint.Embeddings ? _total : _total - _completion);
        var completion = endpoint == Endpoint.Embeddings ? 0 : _completion ?? (_total - prompt);
        var excess = _total - prompt - completion;
        if (_refused || prompt is not (>= 0 and <= TokensMax) || completion is not (>= 0 and <= TokensMax) || excess > TokensMax)
        {
            return new UsageReading(null, _refused || prompt is not null || _completion is not null || _total is not null, false);
        }

        var cached = Clamp(_cached, prompt.Value, out var cachedClamped);
        var cacheWrite = Clamp(_cacheWrite, prompt.Value - (cached ?? 0), out var writeClamped);
        var input = new TokenUsage
        {
            UncachedInput = prompt - (cached ?? 0) - (cacheWrite ?? 0),
            CacheRead = cached,
            CacheWrite = cacheWrite,
        };
        if (endpoint == Endpoint.Embeddings)
        {
            return new UsageReading(input, false, cachedClamped || writeClamped);
        }

        var (output, reasoning, outputClamped) = SplitOutput(completion.Value, excess);
        return new UsageReading(input with { Output = output, Reasoning = reasoning }, false, cachedClamped || writeClamped || outputClamped);
    }

    /// <param name="excess">What the total has beyond prompt and completion; null without a total.</param>
    private readonly (long Output, long? Reasoning, bool Clamped) SplitOutput(long completion, long? excess)
    {
        var outside = excess > 0 && (_reasoning is null || _reasoning == excess);
        if (outside)
        {
            return (completion, excess, false);
        }

        var reasoning = Clamp(_reasoning, completion, out var clamped);
        return (completion - (reasoning ?? 0), reasoning, clamped || excess is not (null or 0));
    }

    private static long? Clamp(long? part, long whole, out bool clamped)
    {
        clamped = part > whole;
        return clamped ? whole : part;
    }
}

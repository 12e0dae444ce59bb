using System.Buffers;
using System.Text;
using Dvara.Domain.Metering;

namespace Dvara.Server.Metering;

/// <summary>
/// Text of a charge as every engine takes it. U+0000 and halves of surrogate pairs become U+FFFD, and what stands in keys of the rollups
/// is cut, because PostgreSQL bounds a key. Requests cannot carry either; an answer of a provider can (the model it says it served), and
/// money is not refused for the spelling of a name.
/// </summary>
internal static class LedgerText
{
    private const int NameCharsMax = 256;

    /// <summary>The contract's bounds of a tag.</summary>
    private const int TagKeyCharsMax = 64;
    private const int TagValueCharsMax = 256;

    public static Charge Clean(Charge charge)
    {
        var intent = charge.Intent;
        return IsClean(charge.ServedModel, NameCharsMax) && IsClean(charge.Outcome) && IsClean(charge.ProviderRequestId)
            && IsClean(intent.Provider, NameCharsMax) && IsClean(intent.RequestedModel) && IsClean(intent.EndUser) && IsClean(intent.IdempotencyKey)
            && intent.Tags.All(tag => IsClean(tag.Key, TagKeyCharsMax) && IsClean(tag.Value, TagValueCharsMax))
            ? charge
            : charge with
            {
                ServedModel = Clean(charge.ServedModel, NameCharsMax)!,
                Outcome = Clean(charge.Outcome),
                ProviderRequestId = Clean(charge.ProviderRequestId),
                Intent = intent with
                {
                    Provider = Clean(intent.Provider, NameCharsMax)!,
                    RequestedModel = Clean(intent.RequestedModel)!,
                    EndUser = Clean(intent.EndUser),
                    IdempotencyKey = Clean(intent.IdempotencyKey),
                    Tags = intent.Tags.DistinctBy(tag => Clean(tag.Key, TagKeyCharsMax))
                        .ToDictionary(tag => Clean(tag.Key, TagKeyCharsMax)!, tag => Clean(tag.Value, TagValueCharsMax)!),
                },
            };
    }

    private static bool IsClean(string? text, int charsMax = int.MaxValue)
    {
        if (text?.Length > charsMax)
        {
            return false;
        }

        for (var rest = text.AsSpan(); rest.Length > 0;)
        {
            var next = rest.IndexOfAnyExceptInRange('\u0001', '\ud7ff');
            if (next < 0)
            {
                return true;
            }

            rest = rest[next..];
            if (rest[0] == '\0' || Rune.DecodeFromUtf16(rest, out _, out var length) != OperationStatus.Done)
            {
                return false;
            }

            rest = rest[length..];
        }

        return true;
    }

    private static string? Clean(string? text, int charsMax = int.MaxValue)
    {
        if (text is null || IsClean(text, charsMax))
        {
            return text;
        }

        var clean = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (clean.Length + rune.Utf16SequenceLength > charsMax)
            {
                break;
            }

            clean.Append(rune.Value == 0 ? Rune.ReplacementChar : rune);
        }

        return clean.ToString();
    }
}

using System.Text.Json;
using System.Text.Json.Serialization;
using Dvara.Domain;
using Dvara.Domain.Metering;

namespace Dvara.Server.Metering;

/// <summary>A charge with its place in the journal.</summary>
/// <param name="Seq">Counts up within one journal, with gaps; never given twice.</param>
/// <param name="WrittenAt">When it became durable.</param>
internal sealed record JournaledCharge(long Seq, DateTimeOffset WrittenAt, Charge Charge);

/// <summary>An attempt that the last process left without a charge.</summary>
/// <param name="Delivered">Its last checkpoint.</param>
internal sealed record OpenIntent(long Seq, Intent Intent, TokenUsage? Delivered);

/// <summary>
/// How entries stand in the journal: JSON without nulls. An operator can read a quarantined charge, and a new optional member needs
/// no migration.
/// </summary>
internal static class JournalEntry
{
    public static byte[] Encode(Intent intent) => JsonSerializer.SerializeToUtf8Bytes(intent, JournalJson.Default.Intent);

    public static byte[] Encode(TokenUsage usage) => JsonSerializer.SerializeToUtf8Bytes(usage, JournalJson.Default.TokenUsage);

    public static byte[] Encode(Charge charge) => JsonSerializer.SerializeToUtf8Bytes(charge, JournalJson.Default.Charge);

    /// <exception cref="JsonException">The bytes are not an intent.</exception>
    public static Intent DecodeIntent(ReadOnlySpan<byte> body) => Known(JsonSerializer.Deserialize(body, JournalJson.Default.Intent));

    /// <exception cref="JsonException">The bytes are not usage.</exception>
    public static TokenUsage DecodeUsage(ReadOnlySpan<byte> body) => Known(JsonSerializer.Deserialize(body, JournalJson.Default.TokenUsage));

    /// <exception cref="JsonException">The bytes are not a charge.</exception>
    public static Charge DecodeCharge(ReadOnlySpan<byte> body) => Known(JsonSerializer.Deserialize(body, JournalJson.Default.Charge));

    private static T Known<T>(T? value)
        where T : class => value ?? throw new JsonException("The entry is null.");
}

[JsonSourceGenerationOptions(
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    IgnoreReadOnlyProperties = true,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(Intent))]
[JsonSerializable(typeof(TokenUsage))]
[JsonSerializable(typeof(Charge))]
[JsonSerializable(typeof(IReadOnlyDictionary<string, string>))]
internal sealed partial class JournalJson : JsonSerializerContext;

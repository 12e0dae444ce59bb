using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Dvara.Providers.Mock;

/// <summary>Embeddings made of the input's hash: the same input has the same vector of length 1, and different inputs have different ones.</summary>
internal static class MockEmbeddings
{
    private const int DimensionsMax = 4096;
    private const int DimensionsDefault = 1536;

    /// <summary>OpenAI's own bound of inputs in one request.</summary>
    private const int InputsMax = 2048;

    public static bool TryWrite(MockCall call, byte[] body, out ReadOnlyMemory<byte> answer)
    {
        answer = default;
        using var request = JsonDocument.Parse(body);
        if (!TryDimensions(request.RootElement, out var dimensions) || !TryFormat(request.RootElement, out var base64))
        {
            return false;
        }

        var inputs = Inputs(request.RootElement.GetProperty("input"));
        if (inputs.Count > InputsMax)
        {
            return false;
        }

        answer = MockWire.Object(json =>
        {
            json.WriteString("object"u8, "list"u8);
            json.WriteStartArray("data"u8);
            for (var index = 0; index < inputs.Count; index++)
            {
                Write(json, index, Vector(inputs[index], dimensions), base64);
            }

            json.WriteEndArray();
            json.WriteString("model"u8, call.Model);
            MockWire.Usage(json, call);
        });
        return true;
    }

    private static bool TryDimensions(JsonElement request, out int dimensions)
    {
        dimensions = DimensionsDefault;
        return !request.TryGetProperty("dimensions", out var given)
            || given.ValueKind == JsonValueKind.Null
            || (given.ValueKind == JsonValueKind.Number && given.TryGetInt32(out dimensions) && dimensions is >= 1 and <= DimensionsMax);
    }

    private static bool TryFormat(JsonElement request, out bool base64)
    {
        base64 = false;
        if (!request.TryGetProperty("encoding_format", out var given) || given.ValueKind == JsonValueKind.Null)
        {
            return true;
        }

        base64 = given.ValueKind == JsonValueKind.String && given.ValueEquals("base64"u8);
        return base64 || (given.ValueKind == JsonValueKind.String && given.ValueEquals("float"u8));
    }

    /// <summary>A string and a list of token ids are one input; any other list has one per element.</summary>
    private static List<JsonElement> Inputs(JsonElement input) =>
        input.ValueKind == JsonValueKind.Array && input[0].ValueKind != JsonValueKind.Number ? [.. input.EnumerateArray()] : [input];

    private static float[] Vector(JsonElement input, int dimensions)
    {
        var seed = XxHash3.HashToUInt64(JsonMarshal.GetRawUtf8Value(input));
        var vector = new float[dimensions];
        Span<byte> position = stackalloc byte[sizeof(int)];
        var squares = 0.0;
        for (var i = 0; i < vector.Length; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(position, i);
            // From -1 to 1 and never 0, so that even a vector of one dimension has a length.
            vector[i] = (((XxHash3.HashToUInt64(position, (long)seed) & 0xFFFFF) + 0.5f) / 0x80000) - 1;
            squares += vector[i] * vector[i];
        }

        var length = (float)Math.Sqrt(squares);
        for (var i = 0; i < vector.Length; i++)
        {
            vector[i] /= length;
        }

        return vector;
    }

    private static void Write(Utf8JsonWriter json, int index, float[] vector, bool base64)
    {
        json.WriteStartObject();
        json.WriteString("object"u8, "embedding"u8);
        json.WriteNumber("index"u8, index);
        if (base64)
        {
            // The wire format is little-endian, as every machine that .NET runs on is.
            json.WriteBase64String("embedding"u8, MemoryMarshal.AsBytes<float>(vector));
        }
        else
        {
            json.WriteStartArray("embedding"u8);
            foreach (var value in vector)
            {
                json.WriteNumberValue(value);
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
    }
}

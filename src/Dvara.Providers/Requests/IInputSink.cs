namespace Dvara.Providers.Requests;

/// <summary>Is told, piece by piece, of everything in a request that becomes input tokens.</summary>
internal interface IInputSink
{
    /// <summary>A message, a prompt or an input begins.</summary>
    void Item();

    /// <summary>The string that the cursor stands on.</summary>
    void Text(scoped in JsonCursor json);

    /// <summary>JSON that the model is shown as text, more or less as it stands: tools, schemas, calls.</summary>
    void Json(ReadOnlySpan<byte> json);

    /// <summary>An image, a sound or a file.</summary>
    void Media();

    /// <summary>A token that the caller made itself.</summary>
    void TokenId();
}

using System.Buffers;

namespace Dvara.Providers;

/// <summary>Makes the upstream body out of the client's: the same memory, cut at the ranges of its plan. Nothing is copied.</summary>
public static class BodyRewriter
{
    /// <summary>The pieces to send, in order; the body itself, as one piece, when nothing changes. Its length is the content length.</summary>
    public static ReadOnlySequence<byte> Rewrite(ReadOnlyMemory<byte> body, BodyPlan plan, in BodyChanges changes) =>
        throw new NotImplementedException();
}

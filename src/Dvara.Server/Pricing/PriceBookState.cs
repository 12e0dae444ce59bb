using Dvara.Domain.Pricing;

namespace Dvara.Server.Pricing;

/// <summary>The one mutable holder of the price book: an immutable snapshot, swapped whole within 1 s of a change.</summary>
internal sealed class PriceBookState
{
    private volatile PriceBook _current = PriceBook.Empty;

    /// <summary>Written by the change feed's subscriber, read by every request.</summary>
    public PriceBook Current => _current;

    public void Replace(PriceBook book) => _current = book;
}

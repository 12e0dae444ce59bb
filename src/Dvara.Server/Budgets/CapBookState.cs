using Dvara.Domain.Budgets;

namespace Dvara.Server.Budgets;

/// <summary>The one mutable holder of the caps: an immutable snapshot, swapped whole within 1 s of a change.</summary>
internal sealed class CapBookState
{
    private volatile CapBook _current = CapBook.Empty;

    /// <summary>Written by the change feed's subscriber, read by every request.</summary>
    public CapBook Current => _current;

    public void Replace(CapBook book) => _current = book;
}

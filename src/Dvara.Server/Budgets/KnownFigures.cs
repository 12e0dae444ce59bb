using Dvara.Domain.Budgets;

namespace Dvara.Server.Budgets;

/// <summary>How a period stood at one look at the database. Every answer until the next one carries the same two texts.</summary>
internal sealed class KnownFigures(CapFigures figures)
{
    public CapFigures Figures => figures;

    public string RemainingText => field ??= figures.Remaining.ToString();

    public string LimitText => field ??= figures.Limit.ToString();
}

using Dvara.Domain.Statements;

namespace Dvara.Server.Chargeback;

/// <summary>
/// Turns a statement into the document that goes with an invoice. The same statement gives the same bytes: nothing in them comes from
/// the clock, the machine or chance.
/// </summary>
internal interface IReportRenderer
{
    /// <returns>A PDF.</returns>
    byte[] Render(Statement statement);
}

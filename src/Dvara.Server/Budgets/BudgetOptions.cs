using System.Globalization;

namespace Dvara.Server.Budgets;

/// <summary>How caps refuse (<c>Dvara:Budgets:*</c>).</summary>
internal sealed record BudgetOptions
{
    /// <summary>HTTP status of a refusal: 402 (default), or 429 for clients that treat nothing else as "not now".</summary>
    public int RefusalStatus { get; init; } = StatusCodes.Status402PaymentRequired;

    /// <summary>Calls of one cap that wait on this silo for others to end (default 5,000); beyond, they are refused at once. Each holds its body in memory.</summary>
    public int WaitingMax { get; init; } = 5_000;

    /// <param name="configuration">Environment, settings file and command line.</param>
    /// <param name="problems">Receives a sentence for each setting that is wrong.</param>
    public static BudgetOptions Read(IConfiguration configuration, List<string> problems)
    {
        var section = configuration.GetSection("Dvara:Budgets");
        var defaults = new BudgetOptions();
        return new()
        {
            RefusalStatus = Number(nameof(RefusalStatus), defaults.RefusalStatus, value => value is 402 or 429, "402 or 429"),
            WaitingMax = Number(nameof(WaitingMax), defaults.WaitingMax, value => value is >= 0 and <= 1_000_000, "a whole number from 0 to 1000000"),
        };

        int Number(string name, int byDefault, Func<int, bool> isValid, string valid)
        {
            if (section[name] is not { } text)
            {
                return byDefault;
            }

            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && isValid(value))
            {
                return value;
            }

            problems.Add($"Dvara:Budgets:{name} is {text}. It must be {valid}.");
            return byDefault;
        }
    }
}

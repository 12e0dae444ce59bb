namespace Dvara.Providers;

/// <summary>The contract's codes for a body that may not go on.</summary>
public static class ProblemCodes
{
    public const string InvalidJson = "invalid_json";
    public const string ValidationError = "validation_error";
}

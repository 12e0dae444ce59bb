using Dvara.Domain;

namespace Dvara.Providers.OpenAI;

/// <summary>What came of reading a usage object.</summary>
/// <param name="Usage">Null: there was none, or it was refused.</param>
/// <param name="Refused">A count was no whole number from 0 to the bound, or a headline count is missing.</param>
/// <param name="Clamped">Counts contradicted each other and were made to agree.</param>
internal readonly record struct UsageReading(TokenUsage? Usage, bool Refused, bool Clamped);

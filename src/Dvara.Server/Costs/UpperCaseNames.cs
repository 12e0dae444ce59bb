using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dvara.Server.Costs;

/// <summary>Shows an enum as the contract spells it: <c>SETTLED</c>.</summary>
internal sealed class UpperCaseNames<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.SnakeCaseUpper, allowIntegerValues: false)
    where T : struct, Enum;
